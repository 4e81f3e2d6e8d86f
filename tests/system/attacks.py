# SPDX-License-Identifier: Apache-2.0
"""Tries what a program inside Nigiwai must never manage, and prints as JSON how each attempt ended.

Runs by itself with nothing but Python, as `attacks.py '{"pid": ..., ...}'`: once without a sandbox, where every attempt
must succeed (otherwise it would prove nothing), and once inside the sandbox of eye's or link's unit.

An attempt ends as "done", "reached: ..." (the kernel let it through and then found something missing, such as a module
that is none) or "refused: ...". No attempt changes anything that it does not put back.
"""

import ctypes
import errno
import json
import mmap
import os
import resource
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)

REFUSALS = {errno.EPERM, errno.EACCES, errno.ENOENT, errno.EROFS, errno.EAFNOSUPPORT, errno.ECONNREFUSED}
REFUSALS |= {errno.ENETUNREACH, errno.ESRCH, errno.EHOSTUNREACH, errno.ENETDOWN}

X86_64, AARCH64 = 0, 1
_NUMBERS = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "clock_settime": (227, 112),
    "mount": (165, 40),
    "mknodat": (259, 33),
    "chroot": (161, 51),
    "kexec_load": (246, 104),
    "swapon": (167, 224),
}
"""System calls that the C library does not offer or hides, by architecture."""

_ARCHITECTURE = {"x86_64": X86_64, "aarch64": AARCH64}[os.uname().machine]
PTRACE_ATTACH, PTRACE_DETACH = 16, 17


def call(name: str, *arguments: Any) -> int:
    """A bare system call. Raises OSError."""
    given = [a if isinstance(a, bytes | ctypes.Array) or a is None else ctypes.c_long(a) for a in arguments]
    result = LIBC.syscall(ctypes.c_long(_NUMBERS[name][_ARCHITECTURE]), *given)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)


def closing_call(name: str, *arguments: Any) -> None:
    """A system call that gives a descriptor, which is closed."""
    os.close(call(name, *arguments))


# --- Towards the network ------------------------------------------------------------------------------------------


def connect(family: int, address: Any, kind: int = socket.SOCK_STREAM) -> None:
    with socket.socket(family, kind) as calling:
        calling.settimeout(3)
        calling.connect(address)


def datagram(address: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as calling:
        calling.sendto(b"x", address)


def raw_socket() -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


def netlink() -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


def resolve(name: str) -> None:
    socket.getaddrinfo(name, 80)


# --- Towards other processes --------------------------------------------------------------------------------------


def ptrace(pid: int) -> None:
    call("ptrace", PTRACE_ATTACH, pid, 0, 0)
    os.waitpid(pid, 0x40000000)  # __WALL
    call("ptrace", PTRACE_DETACH, pid, 0, 0)


def read_memory_file(pid: int) -> None:
    address = int(Path(f"/proc/{pid}/maps").read_text().split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        memory.read(16)


def read_memory_call(pid: int) -> None:
    """process_vm_readv from the stack's end; a wrong address (EFAULT) still means that we were let in."""

    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    buffer = ctypes.create_string_buffer(16)
    here = Vector(ctypes.addressof(buffer), 16)
    there = Vector(0x1000, 16)
    result = LIBC.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def take_descriptor(pid: int) -> None:
    handle = call("pidfd_open", pid, 0)
    try:
        closing_call("pidfd_getfd", handle, 1, 0)
    finally:
        os.close(handle)


def signal_it(pid: int) -> None:
    os.kill(pid, 0)


def see(pid: int) -> None:
    Path(f"/proc/{pid}/cmdline").read_bytes()


# --- Towards files ------------------------------------------------------------------------------------------------


def read(path: str) -> None:
    if Path(path).is_dir():
        os.listdir(path)
    else:
        Path(path).read_bytes()


def open_device(path: str) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def writable_places() -> list[str]:
    """Every folder in which a file can be made and every file that can be opened for writing, /proc's own aside."""
    found = []
    for folder, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if folder != "/" or f not in {"proc", "sys"}]
        with_name = Path(folder) / f"nigiwai-attack-{os.getpid()}"
        try:
            os.close(os.open(with_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            with_name.unlink()
            found.append(folder)
        except OSError:
            pass
        found += [path for name in files if can_write(path := f"{folder}/{name}")]
    return found


def can_write(path: str) -> bool:
    """Whether an existing plain file opens for writing. Nothing is written."""
    try:
        if not os.path.isfile(path) or os.path.islink(path):
            return False
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def kernel_settings() -> list[str]:
    """Every file under /proc/sys and /sys that can be opened for writing."""
    found = []
    for top in ("/proc/sys", "/sys"):
        for folder, _, files in os.walk(top):
            found += [path for name in files if can_write(path := f"{folder}/{name}")]
    return found


def write_and_run(folder: str) -> None:
    """A program that is written by the attacker and then run."""
    handle, path = tempfile.mkstemp(dir=folder)
    try:
        os.write(handle, b"#!/bin/sh\nexit 0\n")
        os.fchmod(handle, 0o700)
        os.close(handle)
        subprocess.run([path], check=True)
    finally:
        os.unlink(path)


# --- Towards the kernel -------------------------------------------------------------------------------------------


def load_module() -> None:
    """A module that is none: whoever may load modules is told so (ENOEXEC, ENOSYS without modules), others EPERM."""
    call("init_module", b"not a module", 12, b"")


def load_module_file() -> None:
    with open("/proc/self/exe", "rb") as file:
        call("finit_module", file.fileno(), b"", 0)


def io_uring() -> None:
    closing_call("io_uring_setup", 1, ctypes.create_string_buffer(240))


def writable_code() -> None:
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def in_child(action: Callable[[], Any]) -> None:
    """Does what cannot be taken back in a process that ends afterwards."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except OSError as e:
            os._exit(e.errno or 255)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    number = os.waitstatus_to_exitcode(status)
    if number:
        raise OSError(abs(number), os.strerror(abs(number)))


def watch_processor() -> None:
    """A counter of the kernel's own kind (PERF_TYPE_SOFTWARE), which needs no hardware."""
    wish = ctypes.create_string_buffer(struct.pack("=IIQ", 1, 128, 0).ljust(128, b"\0"), 128)
    closing_call("perf_event_open", wish, 0, -1, -1, 0)


def set_clock() -> None:
    """To a time that is none: whoever may set the clock is told so (EINVAL), others EPERM."""
    call("clock_settime", 0, ctypes.create_string_buffer(b"\xff" * 16))


def make_device() -> None:
    path = f"/dev/nigiwai-attack-{os.getpid()}"
    call("mknodat", -100, path.encode(), 0o020600, os.makedev(1, 3))
    os.unlink(path)


CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000


def attempts(about: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Every attempt by name. about: pid of a victim, the address that listens, the DNS name, the files to steal."""
    pid, port = about["pid"], about["port"]
    return {
        "connect over IPv4": lambda: connect(socket.AF_INET, ("127.0.0.1", port)),
        "connect over IPv6": lambda: connect(socket.AF_INET6, ("::1", port)),
        "send a datagram": lambda: datagram(("127.0.0.1", port)),
        "open a raw socket": raw_socket,
        "open a netlink socket": netlink,
        "resolve a name": lambda: resolve(about["name"]),
        "talk to D-Bus": lambda: connect(socket.AF_UNIX, "/run/dbus/system_bus_socket"),
        "talk to an abstract socket": lambda: connect(socket.AF_UNIX, f"\0nigiwai-test-{port}"),
        "use io_uring": io_uring,
        "ptrace": lambda: ptrace(pid),
        "read /proc/PID/mem": lambda: read_memory_file(pid),
        "read memory by call": lambda: read_memory_call(pid),
        "take a descriptor": lambda: take_descriptor(pid),
        "signal": lambda: signal_it(pid),
        "see the process": lambda: see(pid),
        "read the ledger": lambda: read("/var/lib/nigiwai/ledger.db"),
        "read the keys": lambda: read("/etc/nigiwai/credentials/device.key"),
        "read the keys link was given": lambda: read(about["given_key"]),
        "read the journal": lambda: read("/run/log/journal"),
        "read a home": lambda: read("/root"),
        "open the camera": lambda: open_device("/dev/video0"),
        "open another device": lambda: open_device("/dev/nigiwai-other"),
        "make a device": make_device,
        "load a module": load_module,
        "load a module file": load_module_file,
        "load a BPF program": lambda: call("bpf", 5, ctypes.create_string_buffer(128), 128),
        "watch the processor": watch_processor,
        "set the clock": set_clock,
        "mount": lambda: in_child(lambda: call("mount", b"none", b"/mnt", b"tmpfs", 0, None)),
        "make a user namespace": lambda: in_child(lambda: call("unshare", CLONE_NEWUSER)),
        "make a mount namespace": lambda: in_child(lambda: call("unshare", CLONE_NEWNS)),
        "become root": lambda: in_child(lambda: os.setuid(0)),
        "change the root": lambda: in_child(lambda: call("chroot", b"/usr")),
        "map writable code": writable_code,
        "write a program and run it": lambda: write_and_run(about["folder"]),
    }


def tried(action: Callable[[], Any]) -> str:
    """How an attempt ended."""
    try:
        action()
    except socket.gaierror as e:
        return f"refused: {e}"
    except OSError as e:
        verdict = "refused" if e.errno in REFUSALS else "reached"
        return f"{verdict}: {errno.errorcode.get(e.errno or 0, e.errno)}"
    return "done"


def facts() -> dict[str, Any]:
    """What the kernel says about this process."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return {
        "uid": os.getuid(),
        "capabilities": int(status["CapBnd"], 16) | int(status["CapEff"], 16),
        "no_new_privileges": int(status["NoNewPrivs"]),
        "seccomp": int(status["Seccomp"]),
        "interfaces": [name for _, name in socket.if_nameindex()] if about_sockets() else None,
        "core_limit": resource.getrlimit(resource.RLIMIT_CORE),
        "core_filter": int(Path("/proc/self/coredump_filter").read_text(), 16),
        "adjtimex": LIBC.adjtimex(ctypes.create_string_buffer(256)),
        "cpuinfo": len(Path("/proc/cpuinfo").read_text()),
        "environment": {k: v for k, v in os.environ.items() if k.startswith(("ORT_", "CREDENTIALS_"))},
    }


def about_sockets() -> bool:
    """Whether the interfaces can be asked for: glibc needs an IPv4 or a netlink socket for it."""
    try:
        socket.if_nameindex()
    except OSError:
        return False
    return True


def main() -> None:
    """Tries everything and prints one line of JSON."""
    about = json.loads(sys.argv[1])
    result = {name: tried(action) for name, action in attempts(about).items()}
    places = {"writable": writable_places(), "kernel_settings": kernel_settings()}
    print(json.dumps({"attempts": result, "places": places, "facts": facts()}), flush=True)  # noqa: T201 - the result


if __name__ == "__main__":
    main()
