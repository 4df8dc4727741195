"""The CSRs of an M/S/U hart in plain Python, written from the Privileged specification and not from the RTL's table.

`CsrModel.cycle` takes what happens in one clock cycle; the questions (`illegal`, `read`, `interrupt`, ...) may be asked
any time before it.
"""

from dataclasses import dataclass, field

MASK64 = (1 << 64) - 1
READ, WRITE, SET, CLEAR = range(4)
U, S, M = 0, 1, 3
SSI, MSI, STI, MTI, SEI, MEI = 1, 3, 5, 7, 9, 11
EVENTS = 12

STORED = {  # CSRs that are a plain register: address -> writable bits
    0x302: 0xB3FF,
    0x303: 0x222,
    0x304: 0xAAA,
    0x30A: 1 << 63 | 1,
    0x340: MASK64,
    0x341: MASK64 - 1,
    0x342: 1 << 63 | 63,
    0x343: MASK64,
    0x10A: 1,
    0x140: MASK64,
    0x141: MASK64 - 1,
    0x142: 1 << 63 | 63,
    0x143: MASK64,
    0x14D: MASK64,
}
CONSTANTS = {
    0xF11: 0,
    0xF12: 0,
    0xF13: 0x100,
    0xF15: 0,
    0x301: 2 << 62 | 0x141105,
    0x7A0: 0,
    0x7A1: 0,
    0x7A2: 0,
    0x7A3: 0,
    0x7A4: 1,
}
PMP = {0x3A0, 0x3A2, *range(0x3B0, 0x3C0)}
EXISTING = {
    *STORED,
    *CONSTANTS,
    *PMP,
    *(0x300, 0x305, 0x306, 0x320, 0x344, 0x100, 0x104, 0x105, 0x106, 0x144, 0x180, 0xF14),
    *range(0xB03, 0xB20),
    0xB00,
    0xB02,
    *range(0xC00, 0xC20),
    *range(0x323, 0x340),
}


@dataclass
class Cycle:
    """One clock cycle. `csr` is (address, op, operand, commit); `trap` is (interrupt, cause, epc, tval)."""

    csr: tuple[int, int, int, bool] | None = None
    trap: tuple[int, int, int, int] | None = None
    mret: bool = False
    sret: bool = False
    lines: dict[int, int] = field(default_factory=lambda: {MSI: 0, MTI: 0, SEI: 0, MEI: 0})
    time: int = 0
    retire: int = 0
    events: int = 0


class CsrModel:
    def __init__(self, *, hart_id: int = 0, asid_width: int = 16, hpm_counters: int = 8):
        self.hart_id, self.asid_width, self.hpm = hart_id, asid_width, hpm_counters
        self.privilege = M
        self.regs = dict.fromkeys(STORED, 0)
        self.regs[0x14D] = MASK64
        self.pmp = dict.fromkeys(PMP, 0)
        self.mstatus = 0xA_0000_0000
        self.tvec = {0x305: 0, 0x105: 0}
        self.counteren = {0x306: 0, 0x106: 0}
        self.satp = 0
        self.software = 0  # SSIP, STIP, SEIP as written
        self.timer_passed = 0
        self.inhibit = 0
        self.counters = [0] * 32
        self.counters_before = [0] * 32  # a cycle ago, which is what reads give
        self.selectors = [0] * 32

    # --- small helpers ---------------------------------------------------------------------------------------------

    def status(self, bit: int) -> int:
        return self.mstatus >> bit & 1

    def set_status(self, bit: int, value: int, width: int = 1) -> None:
        mask = (1 << width) - 1 << bit
        self.mstatus = self.mstatus & ~mask | value << bit

    @property
    def mpp(self) -> int:
        return self.mstatus >> 11 & 3

    @property
    def stce(self) -> int:
        return self.regs[0x30A] >> 63

    def mip(self, lines: dict[int, int]) -> int:
        stip = self.timer_passed if self.stce else self.software >> STI & 1
        value = self.software & (1 << SSI | 1 << SEI) | stip << STI
        for number, level in lines.items():
            value |= level << number
        return value

    # --- CSR instructions ------------------------------------------------------------------------------------------

    def illegal(self, address: int, op: int) -> bool:
        if address not in EXISTING or self.privilege < (address >> 8 & 3):
            return True
        if op != READ and address >> 10 == 3:
            return True
        if 0xC00 <= address < 0xC20:
            n = address & 31
            if self.privilege != M and not self.counteren[0x306] >> n & 1:
                return True
            if self.privilege == U and not self.counteren[0x106] >> n & 1:
                return True
        if address == 0x14D and self.privilege != M:
            return not (self.stce and self.counteren[0x306] >> 1 & 1)
        if address == 0x180 and self.privilege == S:
            return bool(self.status(20))
        return False

    def read(self, address: int, now: Cycle) -> int:
        mideleg = self.regs[0x303]
        if address in CONSTANTS:
            return CONSTANTS[address]
        if address in STORED:
            return self.regs[address]
        if address in PMP:
            return self.pmp[address]
        match address:
            case 0xF14:
                return self.hart_id
            case 0x300:
                return self.mstatus
            case 0x100:
                return self.mstatus & (1 << 1 | 1 << 5 | 1 << 8 | 1 << 18 | 1 << 19 | 3 << 32)
            case 0x305 | 0x105:
                return self.tvec[address]
            case 0x306 | 0x106:
                return self.counteren[address]
            case 0x320:
                return self.inhibit
            case 0x344:
                return self.mip(now.lines)
            case 0x144:
                return self.mip(now.lines) & mideleg
            case 0x104:
                return self.regs[0x304] & mideleg
            case 0x180:
                return self.satp
            case 0xC01:
                return now.time
        if 0x323 <= address < 0x340:
            return self.selectors[address & 31]
        return self.counters_before[address & 31]

    def writes(self, now: Cycle) -> bool:
        return bool(now.csr and now.csr[1] != READ and now.csr[3] and not self.illegal(*now.csr[:2]))

    def _write(self, now: Cycle) -> set[int]:
        """Performs the write; returns the counters that must not count in this cycle."""
        address, op, operand, _ = now.csr

        def change(old: int) -> int:
            return {WRITE: operand, SET: old | operand, CLEAR: old & ~operand & MASK64}[op]

        value = change(self.read(address, now))
        exists = (1 << 3 + self.hpm) - 1
        mideleg = self.regs[0x303]
        if address in STORED:
            self.regs[address] = value & STORED[address]
            if address == 0x14D:
                self.timer_passed = 0
        elif address in PMP:
            self.pmp[address] = value
        elif address in (0x300, 0x100):
            writable = (1, 3, 5, 7, 8, 17, 18, 19, 20, 21, 22) if address == 0x300 else (1, 5, 8, 18, 19)
            for bit in writable:
                self.set_status(bit, value >> bit & 1)
            if address == 0x300 and value >> 11 & 3 != 2:
                self.set_status(11, value >> 11 & 3, 2)
        elif address in (0x305, 0x105):
            if value & 3 < 2:
                self.tvec[address] = value
        elif address in (0x306, 0x106):
            self.counteren[address] = value & exists
        elif address == 0x320:
            self.inhibit = value & exists & ~2
        elif address == 0x344:
            software = change(self.software)
            keep = 1 << STI if self.stce else 0
            self.software = self.software & keep | software & ~keep & 0x222
        elif address == 0x144:
            if mideleg >> SSI & 1:
                self.software = self.software & ~(1 << SSI) | value & 1 << SSI
        elif address == 0x104:
            self.regs[0x304] = self.regs[0x304] & ~mideleg | value & mideleg
        elif address == 0x180:
            if value >> 60 in (0, 8):
                self.satp = value & (0xF << 60 | (1 << self.asid_width) - 1 << 44 | (1 << 44) - 1)
        elif 0x323 <= address < 0x323 + self.hpm:
            self.selectors[address & 31] = value if value <= EVENTS else 0
        elif 0xB00 <= address < 0xB03 + self.hpm:
            self.counters[address & 31] = value
            return {address & 31}
        return set()

    # --- traps, returns, interrupts ----------------------------------------------------------------------------------

    def delegated(self, interrupt: int, cause: int) -> bool:
        return self.privilege != M and bool((self.regs[0x303] if interrupt else self.regs[0x302]) >> cause & 1)

    def trap_vector(self, interrupt: int, cause: int) -> int:
        tvec = self.tvec[0x105 if self.delegated(interrupt, cause) else 0x305]
        return (tvec & ~3) + (4 * cause if interrupt and tvec & 1 else 0) & MASK64

    def interrupt(self, lines: dict[int, int]) -> int | None:
        """The interrupt to take now, by Privileged 3.1.9 and 4.1.3."""
        ready = self.mip(lines) & self.regs[0x304]
        mideleg = self.regs[0x303]
        for target, candidates in ((M, ready & ~mideleg), (S, ready & mideleg)):
            enabled = self.privilege < target or (
                self.privilege == target and self.status(3 if target == M else 1) == 1
            )
            for number in (MEI, MSI, MTI, SEI, SSI, STI):
                if enabled and candidates >> number & 1:
                    return number
        return None

    def data_privilege(self) -> int:
        return self.mpp if self.status(17) and self.privilege == M else self.privilege

    def cycle(self, now: Cycle) -> None:
        """The clock edge."""
        inhibit, selectors, counters = self.inhibit, list(self.selectors), list(self.counters)
        passed = int(now.time >= self.regs[0x14D])
        silent: set[int] = set()
        self.timer_passed = passed
        if self.writes(now):
            silent = self._write(now)
        if now.trap:
            interrupt, cause, epc, tval = now.trap
            supervisor = self.delegated(interrupt, cause)
            base = 0x100 if supervisor else 0x300
            self.regs[base + 0x41] = epc & ~1
            self.regs[base + 0x42] = interrupt << 63 | cause
            self.regs[base + 0x43] = tval
            if supervisor:
                self.set_status(5, self.status(1))
                self.set_status(1, 0)
                self.set_status(8, self.privilege)
                self.privilege = S
            else:
                self.set_status(7, self.status(3))
                self.set_status(3, 0)
                self.set_status(11, self.privilege, 2)
                self.privilege = M
        if now.mret:
            self.privilege = self.mpp
            self.set_status(3, self.status(7))
            self.set_status(7, 1)
            self.set_status(11, U, 2)
        if now.sret:
            self.privilege = self.status(8)
            self.set_status(1, self.status(5))
            self.set_status(5, 1)
            self.set_status(8, U)
        if (now.mret or now.sret) and self.privilege != M:
            self.set_status(17, 0)
        for n in range(3 + self.hpm):
            happens = {0: 1, 1: 0, 2: now.retire}.get(n, now.events << 1 >> selectors[n] & 1)
            if n not in silent and not inhibit >> n & 1:
                self.counters[n] = self.counters[n] + happens & MASK64
        self.counters_before = counters
