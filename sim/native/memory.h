// RAM as the machine's owner sees it, and the AXI4 subordinate that gives it to the SoC.

#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

constexpr uint64_t PAGE = 4096;

// RAM in two layers. `ram` is what the DRAM chips hold. The core's cache is write-back, so what programs have stored
// may not be there yet: the SoC reports every store as it commits, and `newest` keeps a copy of each page that was
// stored to. Reads from outside look there first, and so never disturb the machine. What devices write by DMA enters
// `newest` when it reaches DRAM; of two writes to the same byte, by the core and by a device, that nothing orders, the
// last one seen here stays.
class Memory {
public:
    Memory(uint64_t base, uint64_t size) : base(base), size(size) {
        void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) return;
        ram_ = static_cast<uint8_t*>(at);
        touched_.resize(size / PAGE), newest_.resize(size / PAGE);
    }
    ~Memory() {
        if (ram_) munmap(ram_, size);
    }
    // False when the host has not so much memory.
    bool exists() const { return ram_ != nullptr; }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    bool contains(uint64_t address, uint64_t length) const {
        return address >= base && length <= size && address - base <= size - length;
    }

    // The DRAM port's side; `address` is a multiple of 8 inside.
    uint64_t read_word(uint64_t address) const {
        uint64_t value;
        memcpy(&value, ram_ + (address - base), 8);
        return value;
    }
    void write_word(uint64_t address, uint64_t value, uint8_t mask) {
        touched_[(address - base) / PAGE] = 1;
        merge(ram_ + (address - base), value, mask);
    }

    // A device wrote; as above.
    void device_write(uint64_t address, uint64_t value, uint8_t mask) {
        write_word(address, value, mask);
        if (auto& page = newest_[(address - base) / PAGE]) merge(page.get() + (address - base) % PAGE, value, mask);
    }

    // The core stored; `address` is anywhere, of a doubleword.
    void store(uint64_t address, uint64_t value, uint8_t mask) {
        address &= ~uint64_t{7};
        if (!contains(address, 8)) return;
        merge(newest_page(address) + (address - base) % PAGE, value, mask);
    }

    // From outside: whole buffers, anywhere inside.
    void read(uint64_t address, uint8_t* to, uint64_t length) const {
        for_pages(address, length, [&](uint64_t index, uint64_t offset, uint64_t part) {
            const uint8_t* from = newest_[index] ? newest_[index].get() : ram_ + index * PAGE;
            memcpy(to, from + offset, part);
            to += part;
        });
    }
    void write(uint64_t address, const uint8_t* from, uint64_t length) {
        for_pages(address, length, [&](uint64_t index, uint64_t offset, uint64_t part) {
            touched_[index] = 1;
            memcpy(ram_ + index * PAGE + offset, from, part);
            if (newest_[index]) memcpy(newest_[index].get() + offset, from, part);
            from += part;
        });
    }

    // Checkpoints: only pages that were ever written. `layer` is 0 for the chips, 1 for the newest stores.
    template <typename F> void for_each_page(F visit) {
        for (uint64_t index = 0; index < size / PAGE; ++index) {
            if (touched_[index]) visit(index, 0, ram_ + index * PAGE);
            if (newest_[index]) visit(index, 1, newest_[index].get());
        }
    }
    void clear() {
        madvise(ram_, size, MADV_DONTNEED);
        touched_.assign(touched_.size(), 0);
        for (auto& page : newest_) page.reset();
    }
    uint8_t* page(uint64_t index, int layer) {
        if (layer) return newest_page(base + index * PAGE);
        touched_[index] = 1;
        return ram_ + index * PAGE;
    }

    const uint64_t base, size;

private:
    static void merge(uint8_t* at, uint64_t value, uint8_t mask) {
        if (mask == 0xff) {
            memcpy(at, &value, 8);
            return;
        }
        for (int lane = 0; lane < 8; ++lane)
            if (mask >> lane & 1) at[lane] = uint8_t(value >> 8 * lane);
    }
    uint8_t* newest_page(uint64_t address) {
        uint64_t index = (address - base) / PAGE;
        if (!newest_[index]) {
            newest_[index] = std::make_unique<uint8_t[]>(PAGE);
            memcpy(newest_[index].get(), ram_ + index * PAGE, PAGE);
        }
        return newest_[index].get();
    }
    template <typename F> void for_pages(uint64_t address, uint64_t length, F visit) const {
        uint64_t at = address - base;
        while (length) {
            uint64_t offset = at % PAGE, part = std::min(length, PAGE - offset);
            visit(at / PAGE, offset, part);
            at += part, length -= part;
        }
    }

    uint8_t* ram_ = nullptr;
    std::vector<uint8_t> touched_;
    std::vector<std::unique_ptr<uint8_t[]>> newest_;
};

// One AXI4 burst that is waiting or under way.
struct Burst {
    uint64_t address, due;
    uint32_t id, beats, size, kind, done, by_device;

    uint64_t beat_address() const {
        uint64_t bytes = uint64_t{1} << size, total = bytes * beats;
        if (kind == 0) return address;
        if (kind == 2) return (address & ~(total - 1)) | ((address + done * bytes) & (total - 1));
        return (address & ~(bytes - 1)) + done * bytes + (done == 0 ? address & (bytes - 1) : 0);
    }
};

struct Response {
    uint64_t due;
    uint32_t id, code;
};

// The memory controller and the chips. Reads answer in order, `latency` cycles after their address at the earliest, one
// beat a cycle; any number may be outstanding. Writes are posted: answered WRITE_LATENCY cycles after their last beat.
// `Port` has the design's ports; the dram_* ones are registered on the SoC's side (see sim/top.py), which costs the
// answers one cycle, counted here.
class DramController {
public:
    static constexpr uint64_t WRITE_LATENCY = 4;
    static constexpr uint64_t SLICE = 1;

    DramController(Memory& memory, uint64_t latency) : memory_(memory), latency(latency) {}

    template <typename Port> void cycle(Port& top, uint64_t now) {
        if (top.dram_ar_valid)
            reads_.push_back({top.dram_ar_addr, now + latency - SLICE, top.dram_ar_id, top.dram_ar_len + 1u,
                              top.dram_ar_size, top.dram_ar_burst, 0, 0});
        if (top.dram_aw_valid)
            writes_.push_back({top.dram_aw_addr, 0, top.dram_aw_id, top.dram_aw_len + 1u, top.dram_aw_size,
                               top.dram_aw_burst, 0, by_device(top)});
        if (top.dram_w_valid) beats_.push_back({top.dram_w_data, top.dram_w_strb});
        if (!beats_.empty() && !writes_.empty()) write_beat(now);
        read_beat(top, now);
        respond(top, now);
    }

    template <typename Archive> void archive(Archive& a) {
        a.queue(reads_), a.queue(writes_), a.queue(beats_), a.queue(responses_);
    }

    void clear() { reads_.clear(), writes_.clear(), beats_.clear(), responses_.clear(); }

    uint64_t read_bytes = 0, write_bytes = 0;

private:
    struct Beat {
        uint64_t data;
        uint32_t mask;
    };

    template <typename Port> static uint32_t by_device(const Port& top) {
        if constexpr (requires { top.dram_aw_by_device; }) return top.dram_aw_by_device;
        return 0;
    }

    template <typename Port> void read_beat(Port& top, uint64_t now) {
        if (reads_.empty() || reads_.front().due > now) {
            top.dram_r_valid = 0;
            return;
        }
        Burst& burst = reads_.front();
        uint64_t address = burst.beat_address() & ~uint64_t{7};
        bool inside = memory_.contains(address, 8);
        top.dram_r_valid = 1;
        top.dram_r_id = burst.id;
        top.dram_r_data = inside ? memory_.read_word(address) : 0;
        top.dram_r_resp = inside ? 0 : 3;
        top.dram_r_last = burst.done + 1 == burst.beats;
        if (!top.dram_r_ready) return;
        read_bytes += uint64_t{1} << burst.size;
        if (++burst.done == burst.beats) reads_.pop_front();
    }

    void write_beat(uint64_t now) {
        Burst& burst = writes_.front();
        uint64_t address = burst.beat_address() & ~uint64_t{7};
        if (!memory_.contains(address, 8))
            burst.due = 3;  // a write has no due time: the field keeps its response
        else if (burst.by_device)
            memory_.device_write(address, beats_.front().data, uint8_t(beats_.front().mask));
        else
            memory_.write_word(address, beats_.front().data, uint8_t(beats_.front().mask));
        beats_.pop_front();
        write_bytes += uint64_t{1} << burst.size;
        if (++burst.done == burst.beats) {
            responses_.push_back({now + WRITE_LATENCY - SLICE, burst.id, uint32_t(burst.due)});
            writes_.pop_front();
        }
    }

    template <typename Port> void respond(Port& top, uint64_t now) {
        if (responses_.empty() || responses_.front().due > now) {
            top.dram_b_valid = 0;
            return;
        }
        top.dram_b_valid = 1;
        top.dram_b_id = responses_.front().id;
        top.dram_b_resp = responses_.front().code;
        if (top.dram_b_ready) responses_.pop_front();
    }

    Memory& memory_;
    std::deque<Burst> reads_, writes_;
    std::deque<Beat> beats_;
    std::deque<Response> responses_;

public:
    const uint64_t latency;
};
