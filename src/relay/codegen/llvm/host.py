"""The machine this process runs on, as a target; LLVM's view of it."""

from functools import cache

import llvmlite.binding as llvm

from relay.target import Target, from_cpu


@cache
def initialize() -> None:
    """Make LLVM's code generators available."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()


@cache
def host_target() -> Target:
    """The target for this machine's CPU."""
    initialize()
    features = llvm.get_host_cpu_features()
    present = tuple(sorted(name for name, has in features.items() if has))
    return from_cpu(llvm.get_process_triple(), llvm.get_host_cpu_name(), present)


@cache
def target_machine(target: Target) -> llvm.TargetMachine:
    """LLVM's code generator for `target`. Objects are position independent."""
    initialize()
    features = ",".join(f"+{name}" for name in target.features)
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=features, opt=2, reloc="pic", codemodel="small"
    )
