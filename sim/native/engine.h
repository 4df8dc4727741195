// The design as the cycle engine (sim/engine) made it: a struct of plain data.

#pragma once

#include <memory>

#include "archive.h"
#include "logic.h"

class Design {
public:
    using Ports = Logic;

    Design() : logic_(std::make_unique<Logic>()) { logic_->start(); }

    Ports& ports() { return *logic_; }
    // Makes the outputs follow the state.
    void settle() { logic_->settle(); }
    // The clock's rising edge.
    void clock() { logic_->clock(); }

    void save(Writer& writer) { writer.item(*logic_); }
    void restore(Reader& reader) { reader.item(*logic_); }

    // Where the rows of inside.h count from.
    const char* inside() {
        logic_->look();
        return reinterpret_cast<const char*>(logic_.get());
    }
#ifdef REGISTERS
    uint64_t register_value(int number) const { return logic_->REGISTERS[number]; }
#endif
#ifdef BOOT_ROM
    auto& boot_rom() { return logic_->BOOT_ROM; }
#endif

    // This one records no waves.
    bool open_waves(const char*) { return false; }
    void close_waves() {}
    static constexpr bool waves = false;
    void clock(uint64_t) { clock(); }

private:
    std::unique_ptr<Logic> logic_;
};
