// Byte streams for checkpoints.

#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

class Writer {
public:
    void write(const void* from, size_t length) {
        auto* start = static_cast<const uint8_t*>(from);
        bytes.insert(bytes.end(), start, start + length);
    }
    template <typename T> void item(T& value) { write(&value, sizeof value); }
    template <typename T> void queue(std::deque<T>& values) {
        uint64_t count = values.size();
        item(count);
        for (T& value : values) item(value);
    }
    std::vector<uint8_t> bytes;
};

// Reads what a Writer of the same simulator wrote.
class Reader {
public:
    explicit Reader(const uint8_t* from) : from_(from) {}
    void read(void* to, size_t length) { memcpy(to, take(length), length); }
    const uint8_t* take(size_t length) {
        const uint8_t* start = from_;
        from_ += length;
        return start;
    }
    template <typename T> void item(T& value) { read(&value, sizeof value); }
    template <typename T> void queue(std::deque<T>& values) {
        uint64_t count = 0;
        item(count);
        values.assign(count, T{});
        for (T& value : values) item(value);
    }

private:
    const uint8_t* from_;
};
