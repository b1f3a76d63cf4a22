"""The virtual machine, by the name that Relay users know: ``relay.vm.compile(mod, "llvm")``."""

from relay.executor.vm import VirtualMachine, VMExecutable, VMExecutor, compile, load  # noqa: A004

Executable = VMExecutable
"""The name of `VMExecutable` in Relay."""

__all__ = ["Executable", "VMExecutable", "VMExecutor", "VirtualMachine", "compile", "load"]
