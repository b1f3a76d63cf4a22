"""The virtual machine: runs the whole language, tensor dataflow as compiled graphs.

::

    executable = relay.vm.compile(mod, target="llvm", params=params)
    machine = relay.vm.VirtualMachine(executable)
    result = relay.create_executor("vm", mod=mod).evaluate()(x)
"""

from relay.executor.vm.api import VMExecutor, compile  # noqa: A004 - the name Relay users know
from relay.executor.vm.executable import VMExecutable
from relay.executor.vm.machine import VirtualMachine

__all__ = ["VMExecutable", "VMExecutor", "VirtualMachine", "compile"]
