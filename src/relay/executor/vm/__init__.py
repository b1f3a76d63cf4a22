"""The virtual machine: runs the whole language, tensor dataflow as compiled graphs.

::

    executable = relay.vm.compile(mod, target="llvm", params=params)
    machine = relay.vm.VirtualMachine(executable)
    result = machine.invoke("main", x)
    executable.save("model.rlyvm")
    executable = relay.vm.load("model.rlyvm")
"""

from relay.executor.vm.api import VirtualMachine, VMExecutor, compile  # noqa: A004
from relay.executor.vm.executable import VMExecutable, load

__all__ = ["VMExecutable", "VMExecutor", "VirtualMachine", "compile", "load"]
