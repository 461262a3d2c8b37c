"""A process followed by ptrace: it stops at each system call that may change a file, and only there.

A seccomp filter picks the calls, so that everything else runs at full speed.  A call goes to its end before another
thread may begin one, so the order in which they are seen is the order in which they happened.  Linux on x86-64 only.

Not strace: its output tells the order of calls, but it cannot stop before the n-th of all of them whatever their kind,
shorten one, or refuse all from one on, and it starts a new interpreter for each run.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

TRACEME, CONT, GETREGS, SETREGS, SYSCALL, SETOPTIONS = 0, 7, 12, 13, 24, 0x4200
SYSGOOD, FORK, VFORK, CLONE, SECCOMP, EXITKILL = 0x1, 0x2, 0x4, 0x8, 0x80, 0x100000
SECCOMP_STOP = 7
WALL = 0x40000000
TRAP = signal.SIGTRAP | 0x80
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38

NUMBERS = {
    "write": 1, "open": 2, "mmap": 9, "pwrite64": 18, "writev": 20, "msync": 26, "sendfile": 40, "fsync": 74,
    "fdatasync": 75, "truncate": 76, "ftruncate": 77, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86,
    "unlink": 87, "symlink": 88, "sync": 162, "openat": 257, "mkdirat": 258, "unlinkat": 263, "renameat": 264,
    "linkat": 265, "symlinkat": 266, "sync_file_range": 277, "fallocate": 285, "pwritev": 296, "syncfs": 306,
    "renameat2": 316, "copy_file_range": 326, "pwritev2": 328, "io_uring_setup": 425, "openat2": 437,
}  # fmt: skip
"""The calls that stop the process."""

NAMES = {number: name for name, number in NUMBERS.items()}
FLAGS = {"open": 1, "openat": 2}
"""Calls of interest only when this argument asks that a file be made or emptied."""


class Registers(ctypes.Structure):
    """The registers of a stopped thread, as the kernel lays them out."""

    _fields_ = [
        (name, ctypes.c_ulong)
        for name in (
            "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base"
            " ds es fs gs"
        ).split()
    ]


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    libc.ptrace.restype = ctypes.c_long
    libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)
    return libc


def _ptrace(request: int, pid: int, data: object = 0) -> None:
    pointer = ctypes.byref(data) if isinstance(data, ctypes.Structure) else ctypes.c_void_p(data)  # type: ignore[arg-type]
    if _libc().ptrace(request, pid, None, pointer) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def die_with_parent() -> None:
    """Have the calling process killed when the one that forked it ends."""
    _libc().prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), None, 0, 0)


def _filter() -> bytes:
    """Return a program for seccomp: stop at the calls of NUMBERS, let all others through.

    Every test is followed by its own verdict, so that no jump has to know how long the program is.
    """
    load, equal, any_of = 0x20, 0x15, 0x45  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JSET|K
    stop, allow = (0x06, 0, 0, 0x7FF00000), (0x06, 0, 0, 0x7FFF0000)

    def argument(n: int) -> tuple[int, int, int, int]:
        return load, 0, 0, 16 + 8 * n

    program = [(load, 0, 0, 0)]
    for name, number in NUMBERS.items():
        if name in FLAGS:
            body = [argument(FLAGS[name]), (any_of, 0, 1, os.O_CREAT | os.O_TRUNC), stop, allow]
        elif name == "mmap":
            # Written to (PROT_WRITE, 2) and shared with the file (MAP_SHARED, 1).
            body = [argument(2), (any_of, 0, 3, 2), argument(3), (any_of, 0, 1, 1), stop, allow]
        else:
            body = [stop]
        program += [(equal, 0, len(body), number), *body]
    return b"".join(struct.pack("HBBI", *step) for step in [*program, allow])


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_char_p)]


def _offer_to_be_traced() -> None:
    """Stop the calling process until its parent follows it; from then on it stops at the calls of NUMBERS."""
    os.setpgid(0, 0)
    die_with_parent()
    _ptrace(TRACEME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    steps = _filter()
    libc = _libc()
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, None, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, 2, ctypes.addressof(_Program(len(steps) // 8, steps)), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp refused the filter")


@dataclass
class Stop:
    """A thread that is about to make a system call."""

    process: int
    thread: int
    name: str
    arguments: tuple[int, ...]
    registers: Registers
    memory: int

    def bytes_at(self, address: int, size: int) -> bytes:
        """Return some of the process's memory."""
        return os.pread(self.memory, size, address)

    def text_at(self, address: int) -> str:
        """Return the string that begins at an address."""
        found = b""
        while b"\0" not in found:
            # Not across the end of a page: the next one may not be there.
            part = os.pread(self.memory, 4096 - (address + len(found)) % 4096, address + len(found))
            found += part
        return os.fsdecode(found[: found.index(b"\0")])

    def file(self, handle: int) -> str:
        """Return what a file descriptor of the process stands for."""
        return os.readlink(f"/proc/{self.process}/fd/{handle & 0xFFFFFFFF}")  # noqa: PTH115

    def cwd(self) -> str:
        """Return the folder that the process is in."""
        return os.readlink(f"/proc/{self.process}/cwd")  # noqa: PTH115

    def position(self, handle: int) -> int:
        """Return where in a file the process will write next."""
        with open(f"/proc/{self.process}/fdinfo/{handle & 0xFFFFFFFF}") as f:  # noqa: PTH123
            return int(f.readline().split()[1])

    def finish(self) -> int:
        """Let the call be made and return its result."""
        _ptrace(SYSCALL, self.thread)
        _, status = os.waitpid(self.thread, WALL)
        if not (os.WIFSTOPPED(status) and os.WSTOPSIG(status) == TRAP):
            raise Gone(status)
        _ptrace(GETREGS, self.thread, self.registers)
        return ctypes.c_long(self.registers.rax).value

    def shorten(self, size: int) -> None:
        """Have the call write only this many bytes."""
        self.registers.rdx = size
        _ptrace(SETREGS, self.thread, self.registers)

    def refuse(self, error: int) -> None:
        """Have the call fail with an error, and do nothing."""
        self.registers.orig_rax = ctypes.c_ulong(-1).value
        self.registers.rax = ctypes.c_ulong(-error).value
        _ptrace(SETREGS, self.thread, self.registers)

    def kill(self) -> None:
        """Kill the whole process; the call is not made."""
        os.kill(self.process, signal.SIGKILL)


class Gone(Exception):
    """The process ended while one of its calls was being made."""


def follow(work: Callable[[], None], seen: Callable[[Stop], None]) -> int:
    """Run some work in a fork, show each of its stops to `seen`, and return its wait status.

    `seen` may finish, shorten, refuse or kill; a call it leaves alone is made as it is.
    """
    pid = os.fork()
    if not pid:
        try:
            _offer_to_be_traced()
            work()
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        finally:
            os._exit(70)
    memory = -1
    known = {pid}
    try:
        _, status = os.waitpid(pid, 0x2)
        if not os.WIFSTOPPED(status):
            raise OSError("the process to be traced ended before it began")
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        _ptrace(SETOPTIONS, pid, SYSGOOD | FORK | VFORK | CLONE | SECCOMP | EXITKILL)
        _ptrace(CONT, pid)
        while True:
            thread, status = os.waitpid(-pid, WALL)
            if not os.WIFSTOPPED(status):
                if thread == pid:
                    return status
                continue
            number, event = os.WSTOPSIG(status), status >> 16
            deliver = 0
            try:
                if event == SECCOMP_STOP:
                    seen(_stop(pid, thread, memory))
                elif not event and number == signal.SIGSTOP and thread not in known:
                    known.add(thread)  # how a new thread begins
                elif not event and number not in (TRAP, signal.SIGTRAP):
                    deliver = number
                _ptrace(CONT, thread, deliver)
            except Gone as e:
                if thread == pid:
                    return int(e.args[0])
            except ProcessLookupError:
                continue  # killed meanwhile; its end is still to be waited for
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        if memory >= 0:
            os.close(memory)


def _stop(pid: int, thread: int, memory: int) -> Stop:
    r = Registers()
    _ptrace(GETREGS, thread, r)
    return Stop(pid, thread, NAMES[r.orig_rax], (r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9), r, memory)


@cache
def why_not() -> str:
    """Return why no process can be followed here, or nothing."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"processes are followed on Linux with x86-64 only, this is {sys.platform} on {platform.machine()}"
    seen: list[str] = []
    read, write = os.pipe()
    try:
        status = follow(lambda: os.write(write, b".") and None, lambda stop: seen.append(stop.name))
    except OSError as e:
        return f"this system does not let one process follow another: {e}"
    finally:
        os.close(read)
        os.close(write)
    return "" if status == 0 and "write" in seen else "this system does not show the calls of another process"
