// The native side of sim.Machine: clock, reset, memory, console, stop conditions, checkpoints, waves.
// A cycle is one call of Design::clock(): inputs for the cycle are set while the outputs of its registers are visible, then the
// clock rises. Every input is registered in sim/top.py, so no output depends on an input within the cycle. Nothing here
// runs per cycle in Python. The C functions at the end are what sim/binding.py loads.

#include <algorithm>
#include <cstdio>
#include <deque>
#include <vector>

#include "archive.h"
#include "memory.h"
#ifdef SPLAX_TRACE
#include "verilated_design.h"
#else
#include "engine.h"
#include "no_library.h"
#endif

namespace {

enum Stop : uint32_t {
    STOP_FINISH = 1,      // software wrote to the finisher
    STOP_TOHOST = 2,      // software stored a non-zero value to tohost
    STOP_ADDRESS = 4,     // an instruction at a stop address is at the commit point
    STOP_TEXT = 8,        // the console printed the text
    STOP_RECORDS = 16,    // the buffer of retired instructions is full
    STOP_STEP = 32,       // an instruction is at the commit point, and the run was to stop at the next
};

enum Feature : unsigned { WITH_ADDRESSES = 1, WITH_WAVES = 2, WITH_RECORDS = 4 };

constexpr unsigned RECENT = 64;

// An output, by its name, or a register or wire of the design, by its name below the SoC; the build writes the rows.
struct Inside {
    const char* name;
    uint32_t offset, size, shift, width;
};
const Inside inside[] = {
#include "inside.h"
    {nullptr, 0, 0, 0, 0},
};

// Shared with Python; the layout is repeated in sim/binding.py and its size checked there.
struct Status {
    uint64_t cycle, instructions, pc, mtime, tohost, last_retire, read_bytes, write_bytes;
    uint64_t recent[RECENT];  // addresses of the last instructions retired, a ring indexed by `instructions`
    uint64_t events[32];
    uint32_t stop, finish_code, finish_reset, privilege;
};

// One retired instruction, from RVFI.
struct Record {
    uint64_t cycle, order, pc, next_pc, rd_value, address, read_data, write_data, cause, tval;
    uint32_t instruction;
    uint8_t rd, mode, trap, interrupt, read_mask, write_mask;
};

class Machine {
public:
    Machine(uint64_t ram_base, uint64_t ram_size, uint64_t latency, uint64_t rtc_time)
        : memory(ram_base, ram_size), dram(memory, latency) {
        ports.rtc_time = rtc_time;
        ports.ram_end = ram_base + ram_size;
        ports.rst = 1;
        design.settle();
    }

    // Holds reset for some cycles, which are not counted.
    void reset() {
        dram.clear();
        ports.rst = 1;
        for (int n = 0; n < 16; ++n) design.clock();
        ports.rst = 0;
        design.settle();
        observe();
    }

    // The integer registers as the instructions retired so far leave them: the last one's result is written a cycle
    // later, so that cycle is run, and taken back.
    bool registers(uint64_t* to) {
#ifdef REGISTERS
        Writer writer;
        design.save(writer);
        design.clock();
        for (int n = 0; n < 32; ++n) to[n] = design.register_value(n);
        Reader reader(writer.bytes.data());
        design.restore(reader);
        return true;
#else
        return false;
#endif
    }

    uint32_t run(uint64_t cycles) {
        unsigned features = 0;
        if (stepping || !stop_addresses.empty()) features |= WITH_ADDRESSES;
        if (design.waves) features |= WITH_WAVES;
        if (!records.empty()) features |= WITH_RECORDS;
        status.stop = 0;
        switch (features) {
            case 0: run_with<0>(cycles); break;
            case WITH_ADDRESSES: run_with<WITH_ADDRESSES>(cycles); break;
            case WITH_RECORDS: run_with<WITH_RECORDS>(cycles); break;
            default: run_with<WITH_ADDRESSES | WITH_WAVES | WITH_RECORDS>(cycles);
        }
        observe();
        return status.stop;
    }

    template <typename Archive> void archive(Archive& a) {
        uint64_t previous_stop = passed_;
        a.item(status), a.item(previous_stop), a.item(matched_);
        passed_ = previous_stop;
        dram.archive(a);
        a.queue(input), a.queue(output);
        a.item(ports.virtio_interrupts), a.item(ports.pci_interrupts);
        a.item(dma_);
        a.queue(until_);
        prepare();
    }

    // The same text again keeps what has matched so far.
    void until(const uint8_t* text, size_t length) {
        if (std::equal(until_.begin(), until_.end(), text, text + length)) return;
        until_.assign(text, text + length);
        prepare();
        matched_ = 0;
    }

    // Starts an access of one doubleword through the coherent DMA port, a read where no byte is written; false if one is
    // under way or there is no port.
    bool dma_start(uint64_t address, uint64_t data, uint8_t mask) {
#ifdef SPLAX_DMA
        if (dma_.state) return false;
        uint32_t offer = mask ? DMA_OFFER_ADDRESS | DMA_OFFER_DATA : DMA_OFFER_READ;
        dma_ = {offer, mask, 0, address, data};
        return true;
#else
        return false;
#endif
    }
    // -1 while the access is under way, else its AXI4 response.
    int dma_result(uint64_t& data) const {
        data = dma_.data;
        return dma_.state ? -1 : int(dma_.response);
    }

    void record_last() {
#ifdef SPLAX_RVFI
        if (ports.rvfi_valid) record();
#endif
    }

    Design design;
    Design::Ports& ports = design.ports();
    Memory memory;
    DramController dram;
    Status status{};
    std::deque<uint8_t> input, output;
    std::vector<uint64_t> stop_addresses;
    bool stepping = false;  // stop at every instruction
    uint64_t tohost = ~uint64_t{0};
    std::vector<Record> records;  // capacity given by its size
    uint64_t recorded = 0;

private:
    enum : uint32_t { DMA_OFFER_ADDRESS = 1, DMA_OFFER_DATA = 2, DMA_OFFER_READ = 4, DMA_WAIT = 8 };
    struct Dma {
        uint32_t state = 0, mask = 0, response = 0;
        uint64_t address = 0, data = 0;
    };

    template <unsigned FEATURES> void run_with(uint64_t cycles) {
        Design::Ports& t = ports;
        for (uint64_t end = status.cycle + cycles; status.cycle < end;) {
            if constexpr ((FEATURES & WITH_ADDRESSES) != 0)
                if (stops_here()) return;
            dram.cycle(t, status.cycle);
            console();
            count();
#ifdef SPLAX_STORES
            if (t.store_valid) stored();
#endif
#ifdef SPLAX_DMA
            dma_cycle();
#endif
            if (t.finish_valid) {
                status.stop |= STOP_FINISH;
                status.finish_code = t.finish_code;
                status.finish_reset = t.finish_reset;
            }
#ifdef SPLAX_RVFI
            if constexpr ((FEATURES & WITH_RECORDS) != 0)
                if (t.rvfi_valid) record();
#endif
            if constexpr ((FEATURES & WITH_WAVES) != 0) {
                if (design.waves) design.clock(status.cycle);
                else design.clock();
            } else {
                design.clock();
            }
            ++status.cycle;
            if (status.stop) return;
        }
    }

    bool stops_here() {
        if (!(ports.retire || ports.exception) || passed_ == status.cycle + 1) return false;
        if (std::find(stop_addresses.begin(), stop_addresses.end(), ports.pc) != stop_addresses.end())
            status.stop |= STOP_ADDRESS;
        if (stepping) status.stop |= STOP_STEP;
        if (!status.stop) return false;
        passed_ = status.cycle + 1;
        return true;
    }

    void console() {
        Design::Ports& t = ports;
        if (t.uart_tx_valid) {
            output.push_back(t.uart_tx_payload);
            if (!until_.empty()) match(t.uart_tx_payload);
        }
        t.uart_rx_valid = !input.empty();
        if (!input.empty()) {
            t.uart_rx_payload = input.front();
            if (t.uart_rx_ready) input.pop_front();
        }
    }

    // After what part of the text a match goes on when it fails behind each character.
    void prepare() {
        fallback_.assign(until_.size(), 0);
        for (size_t n = 1, k = 0; n < until_.size(); ++n) {
            while (k && until_[n] != until_[k]) k = fallback_[k - 1];
            fallback_[n] = k += until_[n] == until_[k];
        }
    }

    void match(uint8_t c) {
        while (matched_ && until_[matched_] != c) matched_ = fallback_[matched_ - 1];
        matched_ += until_[matched_] == c;
        if (matched_ == until_.size()) {
            matched_ = 0;
            status.stop |= STOP_TEXT;
        }
    }

    void count() {
        Design::Ports& t = ports;
        if (t.retire) {
            status.recent[status.instructions++ % RECENT] = t.pc;
            status.last_retire = status.cycle;
        }
        for (uint32_t events = t.events; events; events &= events - 1) ++status.events[__builtin_ctz(events)];
    }

#ifdef SPLAX_STORES
    void stored() {
        Design::Ports& t = ports;
        memory.store(t.store_address, t.store_data, t.store_mask);
        if (((t.store_address ^ tohost) & ~uint64_t{7}) == 0) {
            memory.read(tohost, reinterpret_cast<uint8_t*>(&status.tohost), 8);
            if (status.tohost) status.stop |= STOP_TOHOST;
        }
    }
#endif

#ifdef SPLAX_DMA
    void dma_cycle() {
        Design::Ports& t = ports;
        t.dma_aw_valid = (dma_.state & DMA_OFFER_ADDRESS) != 0;
        t.dma_w_valid = (dma_.state & DMA_OFFER_DATA) != 0;
        t.dma_ar_valid = (dma_.state & DMA_OFFER_READ) != 0;
        if (!dma_.state) return;
        t.dma_aw_addr = t.dma_ar_addr = dma_.address;
        t.dma_aw_size = t.dma_ar_size = 3;
        t.dma_aw_burst = t.dma_ar_burst = 1;
        t.dma_w_data = dma_.data;
        t.dma_w_strb = dma_.mask;
        t.dma_w_last = 1;
        if (t.dma_aw_valid && t.dma_aw_ready) dma_.state &= ~DMA_OFFER_ADDRESS, dma_.state |= DMA_WAIT;
        if (t.dma_w_valid && t.dma_w_ready) dma_.state &= ~DMA_OFFER_DATA;
        if (t.dma_ar_valid && t.dma_ar_ready) dma_.state &= ~DMA_OFFER_READ, dma_.state |= DMA_WAIT;
        if (t.dma_b_valid) dma_.state = 0, dma_.response = t.dma_b_resp;
        if (t.dma_r_valid) dma_.state = 0, dma_.data = t.dma_r_data, dma_.response = t.dma_r_resp;
    }
#endif

#ifdef SPLAX_RVFI
    void record() {
        Design::Ports& t = ports;
        if (recorded == records.size()) return;
        records[recorded++] = {status.cycle, t.rvfi_order, t.rvfi_pc_rdata, t.rvfi_pc_wdata, t.rvfi_rd_wdata,
                               t.rvfi_mem_addr, t.rvfi_mem_rdata, t.rvfi_mem_wdata, t.rvfi_cause, t.rvfi_tval,
                               t.rvfi_insn, t.rvfi_rd_addr, t.rvfi_mode, t.rvfi_trap, t.rvfi_intr, t.rvfi_mem_rmask,
                               t.rvfi_mem_wmask};
        if (recorded == records.size()) status.stop |= STOP_RECORDS;
    }
#endif

    void observe() {
        status.pc = ports.pc;
        status.privilege = ports.privilege;
        status.mtime = ports.mtime;
        status.read_bytes = dram.read_bytes;
        status.write_bytes = dram.write_bytes;
    }

    uint64_t passed_ = 0;  // one more than the cycle in which stops_here() stopped last
    size_t matched_ = 0;
    std::deque<uint8_t> until_;
    std::vector<size_t> fallback_;
    Dma dma_;
};

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

API Machine* splax_create(uint64_t ram_base, uint64_t ram_size, uint64_t latency, uint64_t rtc_time) {
    auto* machine = new Machine(ram_base, ram_size, latency, rtc_time);
    if (machine->memory.exists()) return machine;
    delete machine;
    return nullptr;
}
API void splax_destroy(Machine* m) {
    delete m;
}
API Status* splax_status(Machine* m) { return &m->status; }
API uint64_t splax_status_size() { return sizeof(Status); }
API uint64_t splax_record_size() { return sizeof(Record); }
API void splax_reset(Machine* m) { m->reset(); }
API uint32_t splax_run(Machine* m, uint64_t cycles) { return m->run(cycles); }

API uint64_t splax_console_read(Machine* m, uint8_t* to, uint64_t room) {
    uint64_t count = std::min<uint64_t>(room, m->output.size());
    std::copy_n(m->output.begin(), count, to);
    m->output.erase(m->output.begin(), m->output.begin() + count);
    return count;
}
API void splax_console_write(Machine* m, const uint8_t* from, uint64_t count) {
    m->input.insert(m->input.end(), from, from + count);
}
API uint64_t splax_console_pending(Machine* m) { return m->input.size(); }

API int splax_memory_read(Machine* m, uint64_t address, uint8_t* to, uint64_t length) {
    if (!m->memory.contains(address, length)) return 0;
    m->memory.read(address, to, length);
    return 1;
}
API int splax_memory_write(Machine* m, uint64_t address, const uint8_t* from, uint64_t length) {
    if (!m->memory.contains(address, length)) return 0;
    m->memory.write(address, from, length);
    return 1;
}

// Sets the boot ROM's first bytes; 0 when this design has none. Call before reset.
API int splax_set_boot_rom(Machine* m, const uint8_t* from, uint64_t length) {
#ifdef BOOT_ROM
    auto& rom = m->design.boot_rom();
    if (length > sizeof rom) return 0;
    memset(&rom, 0, sizeof rom);
    memcpy(&rom, from, length);
    return 1;
#else
    return 0;
#endif
}

// x0..x31; 0 when this design has no register file that can be seen.
API int splax_registers(Machine* m, uint64_t* to) { return m->registers(to); }

// What can be looked at inside; a row without a name ends it.
API const Inside* splax_inside() { return inside; }
// Where the rows' offsets count from, after what is computed only for this was.
API const char* splax_look(Machine* m) { return m->design.inside(); }
API uint64_t splax_peek(Machine* m, uint64_t index) {
    const Inside& row = inside[index];
    uint64_t value = 0;
    memcpy(&value, m->design.inside() + row.offset, row.size);
    return value >> row.shift & (~uint64_t{0} >> (64 - row.width));
}

API void splax_until(Machine* m, const uint8_t* text, uint64_t length) { m->until(text, length); }
API void splax_watch_tohost(Machine* m, uint64_t address) { m->tohost = address; }
API void splax_stop_addresses(Machine* m, const uint64_t* addresses, uint64_t count) {
    m->stop_addresses.assign(addresses, addresses + count);
}
API void splax_stepping(Machine* m, int stepping) { m->stepping = stepping != 0; }
API void splax_interrupts(Machine* m, uint32_t virtio, uint32_t pci) {
    m->ports.virtio_interrupts = virtio;
    m->ports.pci_interrupts = pci;
}
API int splax_dma_start(Machine* m, uint64_t address, uint64_t data, uint32_t mask) {
    return m->dma_start(address, data, uint8_t(mask));
}
API int splax_dma_result(Machine* m, uint64_t* data) { return m->dma_result(*data); }

API void splax_records_start(Machine* m, uint64_t capacity) { m->records.resize(capacity), m->recorded = 0; }
// The instruction that made the run end is reported in the cycle that was not run any more.
API void splax_records_last(Machine* m) { m->record_last(); }
API uint64_t splax_records_take(Machine* m, const Record** at) {
    *at = m->records.data();
    uint64_t count = m->recorded;
    m->recorded = 0;
    return count;
}

API int splax_waves_open(Machine* m, const char* path) {
    return m->design.open_waves(path);
}
API void splax_waves_close(Machine* m) {
    m->design.close_waves();
}

// A checkpoint: the design's registers and memories, the harness's state, and every RAM page ever written.
API Writer* splax_save(Machine* m) {
    auto* writer = new Writer;
    m->design.save(*writer);
    m->archive(*writer);
    uint64_t end = ~uint64_t{0};
    m->memory.for_each_page([&](uint64_t index, uint64_t layer, uint8_t* page) {
        writer->item(index), writer->item(layer);
        writer->write(page, PAGE);
    });
    writer->item(end);
    return writer;
}
API uint64_t splax_saved_size(Writer* writer) { return writer->bytes.size(); }
API const uint8_t* splax_saved_data(Writer* writer) { return writer->bytes.data(); }
API void splax_saved_free(Writer* writer) { delete writer; }
API void splax_restore(Machine* m, const uint8_t* from) {
    Reader reader(from);
    m->design.restore(reader);
    m->archive(reader);
    m->memory.clear();
    for (;;) {
        uint64_t index = 0, layer = 0;
        reader.item(index);
        if (index == ~uint64_t{0}) break;
        reader.item(layer);
        reader.read(m->memory.page(index, int(layer)), PAGE);
    }
}
