// Compares the instructions a device retired with QEMU's execution log, one at a time.
//
//   lockstep compare LOG RECORDS LISTING END_PC   the first difference on stdout, exit status 1; 0 when all agree up to END_PC;
//                                                 2 when a stream is unusable
//   lockstep convert LOG RECORDS LISTING          writes QEMU's own execution as records: the stand-in device that proves
//                                                 this program
//
// LOG is `qemu-system-riscv64 -d cpu,int,nochain -singlestep`: the registers before each instruction, and traps.
// LISTING is the program's, "address encoding text" a line; code is mapped so that the low 21 bits of its address stay.
// RECORDS is a sequence of `Record`, retired instructions as sim.binding.Record has them.
//
// What may differ, and is therefore not compared:
//   * Where interrupts arrive. A handler is left out on both sides, from its first instruction until execution is back
//     at the interrupted one; the registers must then be as before. The programs' handlers leave nothing else behind
//     but the trap CSRs that an interrupt writes, and the programs do not look at those while interrupts are enabled.
//   * Values read from counters, time and pending bits (`is_volatile`): the destination is not compared until written again.
//   * A store-conditional that failed because an interrupt came since the load-reserved: its retry loop is left out. So
//     where the reference's traps, the device's first one may fail without: "for the purposes of memory protection, a
//     failed SC.W may be treated like a store" (Zalrsc), and need not. The one that would succeed must trap.
//   * mtval of EBREAK, which may be 0 (QEMU) or the pc (Privileged 3.1.16).

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <unordered_map>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;

struct Record {
    u64 cycle, order, pc, next_pc, rd_value, address, read_data, write_data, cause, tval;
    u32 instruction;
    u8 rd, mode, trap, interrupt, read_mask, write_mask;
};
static_assert(sizeof(Record) == 96, "this is sim.binding.Record");

static const u64 BREAKPOINT = 3;
static const int HISTORY = 24;
static const long HANDLER_LIMIT = 200000;

struct Instruction {
    u32 word = 0;
    std::string text;
};

struct Event {
    enum Kind { EXECUTE, EXCEPTION, ASYNCHRONOUS, END } kind = END;
    u64 pc = 0, cause = 0, tval = 0;
    u64 x[32];
};

static u64 parse_hex(const char *text) {
    u64 value = 0;
    for (;; text++) {
        char c = *text;
        if (c >= '0' && c <= '9') value = value << 4 | (u64)(c - '0');
        else if (c >= 'a' && c <= 'f') value = value << 4 | (u64)(c - 'a' + 10);
        else return value;
    }
}

// What the generator wrote at each address.
class Listing {
    std::unordered_map<u64, Instruction> code;

  public:
    explicit Listing(const char *path) {
        FILE *file = fopen(path, "r");
        if (!file) {
            fprintf(stderr, "lockstep: cannot read %s\n", path);
            exit(2);
        }
        char line[512];
        while (fgets(line, sizeof line, file)) {
            if (line[0] != ' ') continue;
            char *end;
            u64 at = strtoull(line, &end, 16);
            Instruction &instruction = code[at & 0x1fffff];
            instruction.word = (u32)strtoul(end, &end, 16);
            while (*end == ' ') end++;
            instruction.text.assign(end, strcspn(end, "\n"));
        }
        fclose(file);
    }

    Instruction operator[](u64 pc) const {
        auto found = code.find(pc & 0x1fffff);
        return found == code.end() ? Instruction() : found->second;
    }
};

// Splits QEMU's log into events.
class LogReader {
    FILE *file;
    char line[512];
    u64 pc = 0;
    Event event;

  public:
    explicit LogReader(const char *path) : file(fopen(path, "r")) {
        if (!file) {
            fprintf(stderr, "lockstep: cannot read %s\n", path);
            exit(2);
        }
        setvbuf(file, nullptr, _IOFBF, 1 << 18);
    }

    const Event &next() {
        while (fgets_unlocked(line, sizeof line, file)) {
            if (line[0] == ' ') {
                if (line[1] == 'x') {
                    int number = atoi(line + 2);
                    const char *at = line;
                    for (int i = 0; i < 4 && number + i < 32; i++) {
                        at = strchr(at + 1, '/');
                        if (!at) break;
                        while (*at != ' ') at++;
                        while (*at == ' ') at++;
                        event.x[number + i] = parse_hex(at);
                    }
                    if (number == 28) {
                        event.kind = Event::EXECUTE;
                        event.pc = pc;
                        return event;
                    }
                } else if (line[1] == 'p' && line[2] == 'c') {
                    pc = parse_hex(line + 10);
                }
            } else if (!strncmp(line, "riscv_cpu_do_interrupt:", 23)) {
                const char *async = strstr(line, "async:"), *cause = strstr(line, "cause:"), *epc = strstr(line, "epc:0x"),
                           *tval = strstr(line, "tval:0x");
                if (!async || !cause || !epc || !tval) continue;
                event.kind = async[6] == '1' ? Event::ASYNCHRONOUS : Event::EXCEPTION;
                event.cause = parse_hex(cause + 6);
                event.pc = parse_hex(epc + 6);
                event.tval = parse_hex(tval + 7);
                return event;
            }
        }
        event.kind = Event::END;
        return event;
    }
};

// One instruction of the reference, executed or trapped, with the registers after it.
struct Step {
    u64 pc = 0, cause = 0, tval = 0;
    bool trap = false, known = false;
    u64 before[32], x[32];
};

// Turns events into steps, and leaves interrupt handlers out (or gives them, for `convert`).
class Reference {
    LogReader &log;
    std::deque<Step> queue;
    bool keep_handlers, skipping = false;
    u64 resume = 0;

    void fill(const u64 *x) {
        for (auto step = queue.rbegin(); step != queue.rend() && !step->known; ++step) {
            memcpy(step->x, x, sizeof step->x);
            step->known = true;
        }
    }

  public:
    long interrupts = 0;
    u64 interrupt_cause = 0;  // of the interrupt before the next step given, where handlers are kept
    std::deque<std::pair<size_t, u64>> starts;
    size_t given = 0, made = 0;

    Reference(LogReader &reader, bool keep) : log(reader), keep_handlers(keep) {}

    bool next(Step &step) {
        while (queue.empty() || !queue.front().known) {
            const Event &event = log.next();
            if (event.kind == Event::END) return false;
            if (event.kind == Event::EXECUTE) {
                if (skipping) {
                    fill(event.x);
                    if (event.pc != resume) continue;
                    skipping = false;
                } else if (!queue.empty() && !queue.back().known && !queue.back().trap && queue.back().pc == event.pc &&
                           !memcmp(queue.back().before, event.x, sizeof event.x)) {
                    continue;  // QEMU entered the block, was asked to stop before it ran, and entered it again
                }
                fill(event.x);
                Step fresh;
                fresh.pc = event.pc;
                memcpy(fresh.before, event.x, sizeof fresh.before);
                queue.push_back(fresh);
                made++;
            } else if (event.kind == Event::EXCEPTION) {
                if (skipping) {
                    if (event.pc != resume) continue;
                    skipping = false;
                }
                bool fetched = !queue.empty() && !queue.back().known && !queue.back().trap && queue.back().pc == event.pc;
                if (!fetched) {  // the fetch itself failed, so no block was entered
                    queue.push_back(Step());
                    queue.back().pc = event.pc;
                    made++;
                }
                queue.back().trap = true;
                queue.back().cause = event.cause;
                queue.back().tval = event.tval;
            } else if (!skipping) {
                interrupts++;
                if (!queue.empty() && !queue.back().known && !queue.back().trap && queue.back().pc == event.pc) {
                    queue.pop_back();  // entered, but interrupted before it ran
                    made--;
                }
                if (keep_handlers) {
                    starts.push_back({made, event.cause});
                } else {
                    skipping = true;
                    resume = event.pc;
                }
            }
        }
        interrupt_cause = 0;
        while (!starts.empty() && starts.front().first <= given) {  // two, where one came before the other's handler ran
            interrupt_cause = starts.front().second | (u64)1 << 63;
            starts.pop_front();
        }
        step = queue.front();
        queue.pop_front();
        given++;
        return true;
    }
};

static bool is_csr(u32 word) { return (word & 0x7f) == 0x73 && (word >> 12 & 3) != 0; }

static bool is_volatile(u32 word, bool interrupted, u64 last_cause) {
    if (!is_csr(word)) return false;
    u32 csr = word >> 20;
    if ((csr >= 0xc00 && csr <= 0xc1f) || (csr >= 0xb00 && csr <= 0xb1f)) return true;
    if (csr == 0x344 || csr == 0x144 || csr == 0x14d) return true;                  // mip, sip, stimecmp
    if ((csr == 0x300 || csr == 0x100) && interrupted) return true;                 // the previous-mode fields
    if ((csr == 0x343 || csr == 0x143) && last_cause == BREAKPOINT) return true;    // mtval, stval
    return false;
}

static bool is_load_reserved(u32 word) { return (word & 0x7f) == 0x2f && word >> 27 == 2; }
static bool is_store_conditional(u32 word) { return (word & 0x7f) == 0x2f && word >> 27 == 3; }

class Comparison {
    LogReader log;
    Reference reference;
    Listing listing;
    FILE *records;
    std::deque<Record> device_history;
    std::deque<Step> reference_history;
    u64 x[32];
    u32 unknown = 0xfffffffe;  // registers that hold a volatile value, or what they held at reset
    bool started = false;
    long count = 0, interrupts = 0, since_reserved = 0, retries = 0;
    u64 last_cause = 0;

    bool read(Record &record) {
        if (fread(&record, sizeof record, 1, records) != 1) return false;
        device_history.push_back(record);
        if (device_history.size() > HISTORY) device_history.pop_front();
        return true;
    }

    int differ(const char *what, u64 device, u64 expected) {
        printf("difference: %s after %ld instructions\n", what, count);
        printf("  device    %016lx\n  reference %016lx\n", (unsigned long)device, (unsigned long)expected);
        printf("interrupts taken by the device: %ld, by the reference: %ld\n", interrupts, reference.interrupts);
        if (!reference_history.empty()) {
            const Step &last = reference_history.back();
            u32 word = listing[last.pc].word;
            printf("operands, if an uncompressed instruction: rs1 x%u = %016lx, rs2 x%u = %016lx\n", word >> 15 & 31,
                   (unsigned long)last.before[word >> 15 & 31], word >> 20 & 31, (unsigned long)last.before[word >> 20 & 31]);
        }
        printf("device:\n");
        for (const Record &r : device_history) {
            printf("  cycle %-9lu %c %016lx %08x  ", (unsigned long)r.cycle, "US?M"[r.mode & 3], (unsigned long)r.pc, r.instruction);
            if (r.interrupt && r.cause >> 63) printf("[interrupt %lu] ", (unsigned long)(r.cause & 0xff));
            if (r.trap) printf("[trap %lu tval %lx] ", (unsigned long)r.cause, (unsigned long)r.tval);
            if (r.rd) printf("x%d=%lx ", r.rd, (unsigned long)r.rd_value);
            if (r.write_mask) printf("[%lx]<-%lx/%02x ", (unsigned long)r.address, (unsigned long)r.write_data, r.write_mask);
            if (r.read_mask) printf("[%lx]->%lx/%02x ", (unsigned long)r.address, (unsigned long)r.read_data, r.read_mask);
            printf("  %s\n", listing[r.pc].text.c_str());
        }
        printf("reference:\n");
        for (const Step &s : reference_history) {
            printf("  %016lx  ", (unsigned long)s.pc);
            if (s.trap) printf("[trap %lu tval %lx] ", (unsigned long)s.cause, (unsigned long)s.tval);
            else
                for (int i = 1; i < 32; i++)
                    if (s.before[i] != s.x[i]) printf("x%d=%lx ", i, (unsigned long)s.x[i]);
            printf("  %s\n", listing[s.pc].text.c_str());
        }
        return 1;
    }

    // Drops a handler's records; `record` is then at `pc` again, and the registers are as before.
    bool leave_out_handlers(Record &record, u64 pc) {
        u64 y[32];
        memcpy(y, x, sizeof y);
        for (long dropped = 0; record.interrupt && record.cause >> 63;) {
            interrupts++;
            since_reserved++;
            u64 cause = record.cause;
            do {
                if (record.rd) y[record.rd] = record.rd_value;
                if (++dropped > HANDLER_LIMIT || !read(record)) {
                    char what[100];
                    snprintf(what, sizeof what, "the handler of interrupt %lu did not come back to", (unsigned long)(cause & 0xff));
                    differ(what, record.pc, pc);
                    return false;
                }
            } while (record.pc != pc);
        }
        for (int i = 1; i < 32; i++)
            if (y[i] != x[i]) {
                char what[64];
                snprintf(what, sizeof what, "x%d is not restored by an interrupt's handler", i);
                differ(what, y[i], x[i]);
                return false;
            }
        return true;
    }

  public:
    Comparison(const char *log_path, const char *records_path, const char *listing_path)
        : log(log_path), reference(log, false), listing(listing_path), records(fopen(records_path, "rb")) {
        if (!records) {
            fprintf(stderr, "lockstep: cannot read %s\n", records_path);
            exit(2);
        }
        setvbuf(records, nullptr, _IOFBF, 1 << 18);
    }

    int run(u64 end_pc) {
        Step step;
        Record record;
        const u64 entry = 0x80000000;
        u64 last_pc = 0;
        // Both sides count from the program's first instruction, not the boot ROM's.
        while (read(record)) {
            if (!reference.next(step)) return differ("the reference ended first", record.pc, last_pc);
            if (!started) {
                while (record.pc < entry && !(record.trap))
                    if (!read(record)) return differ("the device never reached the program", 0, entry);
                while (step.pc < entry && !step.trap)
                    if (!reference.next(step)) return differ("the reference never reached the program", 0, entry);
                memcpy(x, step.before, sizeof x);
                started = true;
            }
            reference_history.push_back(step);
            if (reference_history.size() > HISTORY) reference_history.pop_front();
            if (!leave_out_handlers(record, step.pc)) return 1;
            if (record.pc != step.pc) return differ("pc", record.pc, step.pc);
            if (is_load_reserved(record.instruction)) since_reserved = 0;
            if (is_store_conditional(record.instruction) && since_reserved && !record.trap && record.rd && record.rd_value &&
                (step.trap || !step.x[record.rd])) {
                u64 pc = record.pc;
                do {
                    if (record.rd) x[record.rd] = record.rd_value;
                    if (!read(record) || ++retries > 100000) return differ("no end of store-conditional retries", record.pc, pc);
                    if (record.interrupt && record.cause >> 63) {
                        interrupts++;
                        // Back in the loop, whose instructions are few and around the store-conditional.
                        do {
                            if (!read(record)) return differ("no way back to the store-conditional", record.pc, pc);
                        } while (record.pc + 64 < pc || record.pc > pc + 64);
                    }
                } while (record.pc != pc || (!record.trap && record.rd_value));
            }
            bool trapped = record.trap;
            if (trapped != step.trap) return differ(trapped ? "only the device trapped" : "only the reference trapped", record.cause, step.cause);
            if (trapped) {
                if (record.cause != step.cause) return differ("cause", record.cause, step.cause);
                bool pc_for_zero = step.cause == BREAKPOINT && (record.tval == 0 || record.tval == record.pc);
                if (record.tval != step.tval && !pc_for_zero) return differ("tval", record.tval, step.tval);
                last_cause = step.cause;
            } else if (record.rd) {
                x[record.rd] = record.rd_value;
                unknown &= ~((u32)1 << record.rd);
                if (is_volatile(record.instruction, interrupts || reference.interrupts, last_cause)) unknown |= (u32)1 << record.rd;
            }
            for (int i = 1; i < 32; i++)
                if (x[i] != step.x[i]) {
                    if (unknown >> i & 1) continue;
                    char what[32];
                    snprintf(what, sizeof what, "register x%d", i);
                    return differ(what, x[i], step.x[i]);
                }
            last_pc = record.pc;
            count++;
            if (last_pc == end_pc) break;
        }
        if (last_pc != end_pc) return differ("the device ended early, expected last pc", last_pc, end_pc);
        printf("equal: %ld instructions, %ld interrupts on the device, %ld on the reference, %ld store-conditional retries\n", count,
               interrupts, reference.interrupts, retries);
        return 0;
    }
};

static int convert(const char *log_path, const char *records_path, const char *listing_path) {
    LogReader log(log_path);
    Listing listing(listing_path);
    Reference reference(log, true);
    FILE *out = fopen(records_path, "wb");
    if (!out) return 2;
    Step step;
    u64 cycle = 0;
    while (reference.next(step)) {
        Record record;
        memset(&record, 0, sizeof record);
        record.pc = step.pc;
        record.instruction = step.trap && (step.cause == 1 || step.cause == 12) ? 0 : listing[step.pc].word;
        record.cycle = cycle++;
        record.mode = 3;
        if (reference.interrupt_cause) {
            record.interrupt = 1;
            record.cause = reference.interrupt_cause;
        }
        if (step.trap) {
            record.trap = 1;
            record.cause = step.cause;
            record.tval = step.tval;
        } else {
            for (int i = 1; i < 32; i++)
                if (step.before[i] != step.x[i]) {
                    record.rd = (u8)i;
                    record.rd_value = step.x[i];
                }
            // A volatile read may by chance leave its register as it was: the comparison must still know.
            if (is_csr(record.instruction) && !record.rd) {
                record.rd = record.instruction >> 7 & 31;
                record.rd_value = step.x[record.rd];
            }
            if (is_store_conditional(record.instruction)) {
                record.rd = record.instruction >> 7 & 31;
                record.rd_value = step.x[record.rd];
            }
        }
        fwrite(&record, sizeof record, 1, out);
    }
    return fclose(out) ? 2 : 0;
}

int main(int argc, char **argv) {
    if (argc == 6 && !strcmp(argv[1], "compare"))
        return Comparison(argv[2], argv[3], argv[4]).run(strtoull(argv[5], nullptr, 0));
    if (argc == 5 && !strcmp(argv[1], "convert")) return convert(argv[2], argv[3], argv[4]);
    fprintf(stderr, "usage: lockstep compare LOG RECORDS LISTING END_PC | lockstep convert LOG RECORDS LISTING\n");
    return 2;
}
