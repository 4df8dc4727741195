// The design as Verilator made it, able to write waves.

#pragma once

#include <algorithm>
#include <memory>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "archive.h"
#include "verilated.h"
#include "verilated_fst_c.h"
#include "verilated_save.h"

class Design {
public:
    using Ports = Vtop;

    Design() {
        context_.traceEverOn(true);
        top_ = std::make_unique<Vtop>(&context_, "top");
        top_->clk = 0;
    }
    ~Design() {
        close_waves();
        top_->final();
    }

    Ports& ports() { return *top_; }
    void settle() { top_->eval(); }
    void clock() {
        top_->clk = 1;
        top_->eval();
        top_->clk = 0;
        top_->eval();
    }
    // The same, recorded.
    void clock(uint64_t cycle) {
        top_->clk = 1;
        top_->eval();
        waves->dump(cycle * 2);
        top_->clk = 0;
        top_->eval();
        waves->dump(cycle * 2 + 1);
    }

    void save(Writer& writer) {
        Out out;
        out << *top_;
        out.finish();
        uint64_t length = out.bytes.size();
        writer.item(length);
        writer.write(out.bytes.data(), length);
        writer.item(top_->clk);
    }
    void restore(Reader& reader) {
        uint64_t length = 0;
        reader.item(length);
        In in(reader.take(length), length);
        in >> *top_;
        reader.item(top_->clk);
    }

    const char* inside() const { return reinterpret_cast<const char*>(top_->rootp); }
#ifdef REGISTERS
    uint64_t register_value(int number) const { return top_->rootp->REGISTERS[number]; }
#endif
#ifdef BOOT_ROM
    auto& boot_rom() { return top_->rootp->BOOT_ROM; }
#endif

    bool open_waves(const char* path) {
        waves = std::make_unique<VerilatedFstC>();
        top_->trace(waves.get(), 99);
        waves->open(path);
        return waves->isOpen();
    }
    void close_waves() {
        if (waves) waves->close();
        waves.reset();
    }
    std::unique_ptr<VerilatedFstC> waves;

private:
    class Out : public VerilatedSerialize {
    public:
        Out() { m_isOpen = true, header(); }
        ~Out() override { m_isOpen = false; }
        void flush() override {
            bytes.insert(bytes.end(), m_bufp, m_cp);
            m_cp = m_bufp;
        }
        void finish() { trailer(), flush(); }
        std::vector<uint8_t> bytes;
    };

    class In : public VerilatedDeserialize {
    public:
        In(const uint8_t* from, size_t length) : from_(from), left_(length) {
            m_isOpen = true;
            m_endp = m_cp = m_bufp;
            fill();
            header();
        }
        ~In() override { m_isOpen = false; }
        void close() override {}
        void flush() override {}
        void fill() override {
            size_t kept = m_endp - m_cp;
            memmove(m_bufp, m_cp, kept);
            size_t part = std::min(left_, bufferSize() - kept);
            memcpy(m_bufp + kept, from_, part);
            from_ += part, left_ -= part;
            m_cp = m_bufp, m_endp = m_bufp + kept + part;
        }

    private:
        const uint8_t* from_;
        size_t left_;
    };

    VerilatedContext context_;
    std::unique_ptr<Vtop> top_;
};
