"""Native support code: threads and scratch memory, written in LLVM's text like every kernel.

A pool is a set of threads that sit in ``relay_worker`` and share these words:

- ``job``: a generation number times 4096 plus the number of threads that take part. A new job is
  published by one atomic store; a thread whose number is not below that count skips the job
  without reading anything else.
- ``fn``, ``env``, ``n``: the job itself, stable until all its parts have been finished.
- ``open``: for every part, the job it belongs to while nobody has begun it, else 0. Thread `i`
  takes part `i` if it is still open. The caller, done with part 0, takes what is open still: it
  waits only for threads that have begun, never for one that the system has not woken yet.
- ``pending``: parts that are not finished. ``busy``: whether a caller owns the pool.
- ``sleepers``: threads that have given up spinning and are parked.

Threads spin for ``spins`` rounds, then park: on a futex on Linux, by ``WaitOnAddress`` on Windows,
on a POSIX condition variable elsewhere. ``relay_parallel_for`` runs the job on the calling thread
alone when there is one iteration or one thread, or when another caller owns the pool.
Every other job goes through its iterations from the end, in a few pieces: what the job before it
used last, its results or weights that are used again, is then still in the caches.
Iterations are split into contiguous ranges of nearly equal length; what one iteration computes does
not depend on who runs it, so results are the same for any number of threads.
"""

from relay.codegen.llvm.scratch import SCRATCH
from relay.target import Target

#: What kernels call.
KERNEL_SYMBOLS = ("relay_parallel_for", "relay_scratch_take", "relay_scratch_give")

#: All symbols: those and what `relay.runtime.threads` drives the pool with.
SYMBOLS = (
    *KERNEL_SYMBOLS,
    "relay_worker",
    "relay_pool_set",
    "relay_pool_ready",
    "relay_pool_stop",
    "relay_pool_reset",
    "relay_pool_spin",
)

_SYSCALL_FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "armv7": 240, "i686": 240}

_POOL = """
@job = internal global i32 0, align 128
@fn = internal global ptr null, align 128
@env = internal global ptr null, align 8
@n = internal global i64 0, align 8
@backwards = internal global i1 false, align 1
@turns = internal global i8 0, align 1
@pending = internal global i32 0, align 128
@busy = internal global i32 0, align 128
@threads = internal global i32 1, align 4
@spins = internal global i32 1000, align 4
@sleepers = internal global i32 0, align 128
@ready = internal global i32 0, align 128
@open = internal global [4096 x [16 x i32]] zeroinitializer, align 128
@stop = internal global i32 0, align 4

define internal void @share(i64 %id, i64 %parts) nounwind {
  %fn = load ptr, ptr @fn
  %env = load ptr, ptr @env
  %n = load i64, ptr @n
  %a = mul i64 %id, %n
  %begin = udiv i64 %a, %parts
  %next = add i64 %a, %n
  %end = udiv i64 %next, %parts
  %backwards = load i1, ptr @backwards
  call void @walk(ptr %fn, ptr %env, i64 %begin, i64 %end, i1 %backwards)
  ret void
}

define internal i1 @turn() nounwind {
  %old = load atomic i8, ptr @turns monotonic, align 1
  %new = xor i8 %old, 1
  store atomic i8 %new, ptr @turns monotonic, align 1
  %backwards = trunc i8 %old to i1
  ret i1 %backwards
}

define internal void @walk(ptr %fn, ptr %env, i64 %begin, i64 %end, i1 %backwards) nounwind {
entry:
  br i1 %backwards, label %cut, label %whole
whole:
  call void %fn(ptr %env, i64 %begin, i64 %end)
  br label %leave
cut:
  %n = sub i64 %end, %begin
  %few = icmp ult i64 %n, 8
  %pieces = select i1 %few, i64 %n, i64 8
  br label %head
head:
  %left = phi i64 [ %pieces, %cut ], [ %less, %piece ]
  %some = icmp ne i64 %left, 0
  br i1 %some, label %piece, label %leave
piece:
  %less = sub i64 %left, 1
  %a = mul i64 %less, %n
  %b = mul i64 %left, %n
  %x = udiv i64 %a, %pieces
  %y = udiv i64 %b, %pieces
  %first = add i64 %begin, %x
  %last = add i64 %begin, %y
  call void %fn(ptr %env, i64 %first, i64 %last)
  br label %head
leave:
  ret void
}

define internal i1 @claim(i64 %part, i32 %job) nounwind {
  %slot = getelementptr [4096 x [16 x i32]], ptr @open, i64 0, i64 %part
  %pair = cmpxchg ptr %slot, i32 %job, i32 0 acquire monotonic
  %mine = extractvalue { i32, i1 } %pair, 1
  ret i1 %mine
}

define void @relay_parallel_for(ptr %fn, ptr %env, i64 %n) nounwind {
entry:
  %threads = load atomic i32, ptr @threads monotonic, align 4
  %several = icmp ugt i32 %threads, 1
  %many = icmp sgt i64 %n, 1
  %worth = and i1 %several, %many
  br i1 %worth, label %acquire, label %serial
acquire:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %pair, 1
  br i1 %mine, label %publish, label %serial
serial:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %alone, label %leave
alone:
  %turn = call i1 @turn()
  call void @walk(ptr %fn, ptr %env, i64 0, i64 %n, i1 %turn)
  br label %leave
leave:
  ret void
publish:
  %now = load atomic i32, ptr @threads monotonic, align 4
  %wide = zext i32 %now to i64
  %fewer = icmp ult i64 %n, %wide
  %parts = select i1 %fewer, i64 %n, i64 %wide
  %count = trunc i64 %parts to i32
  store ptr %fn, ptr @fn
  store ptr %env, ptr @env
  store i64 %n, ptr @n
  %way = call i1 @turn()
  store i1 %way, ptr @backwards
  %others = sub i32 %count, 1
  store atomic i32 %others, ptr @pending monotonic, align 4
  %old = load atomic i32, ptr @job monotonic, align 4
  %generation = and i32 %old, -4096
  %bumped = add i32 %generation, 4096
  %job = or i32 %bumped, %count
  br label %open
open:
  %part = phi i64 [ 1, %publish ], [ %following, %open ]
  %slot = getelementptr [4096 x [16 x i32]], ptr @open, i64 0, i64 %part
  store atomic i32 %job, ptr %slot monotonic, align 4
  %following = add i64 %part, 1
  %further = icmp ult i64 %following, %parts
  br i1 %further, label %open, label %announce
announce:
  store atomic i32 %job, ptr @job seq_cst, align 4
  %asleep = load atomic i32, ptr @sleepers seq_cst, align 4
  %wake = icmp ne i32 %asleep, 0
  br i1 %wake, label %rouse, label %work
rouse:
  call void @wake()
  br label %work
work:
  call void @share(i64 0, i64 %parts)
  br label %scan
scan:
  %candidate = phi i64 [ 1, %work ], [ %successor, %scanned ]
  %taken = call i1 @claim(i64 %candidate, i32 %job)
  br i1 %taken, label %take, label %scanned
take:
  call void @share(i64 %candidate, i64 %parts)
  %fewer_left = atomicrmw sub ptr @pending, i32 1 release
  br label %scanned
scanned:
  %successor = add i64 %candidate, 1
  %unscanned = icmp ult i64 %successor, %parts
  br i1 %unscanned, label %scan, label %join
join:
  %round = phi i32 [ 0, %scanned ], [ %after, %again ]
  %left = load atomic i32, ptr @pending acquire, align 4
  %done = icmp eq i32 %left, 0
  br i1 %done, label %release, label %wait
wait:
  call void @pause()
  %after = add i32 %round, 1
  %limit = load i32, ptr @spins
  %patient = icmp ult i32 %after, %limit
  br i1 %patient, label %again, label %yield
yield:
  call void @yield()
  br label %again
again:
  br label %join
release:
  store atomic i32 0, ptr @busy release, align 4
  ret void
}

define void @relay_worker(i64 %id) nounwind {
entry:
  %first = load atomic i32, ptr @job acquire, align 4
  %registered = atomicrmw add ptr @ready, i32 1 seq_cst
  br label %idle
idle:
  %seen = phi i32 [ %first, %entry ], [ %job, %skip ], [ %job, %finish ]
  br label %spin
spin:
  %round = phi i32 [ 0, %idle ], [ %after, %pausing ], [ 0, %woken ]
  %job = load atomic i32, ptr @job acquire, align 4
  %fresh = icmp ne i32 %job, %seen
  br i1 %fresh, label %look, label %nothing
nothing:
  %limit = load i32, ptr @spins
  %after = add i32 %round, 1
  %patient = icmp ult i32 %after, %limit
  br i1 %patient, label %pausing, label %park
pausing:
  call void @pause()
  br label %spin
park:
  %s0 = atomicrmw add ptr @sleepers, i32 1 seq_cst
  call void @sleep(i32 %seen)
  %s1 = atomicrmw sub ptr @sleepers, i32 1 seq_cst
  br label %woken
woken:
  br label %spin
look:
  %stop = load atomic i32, ptr @stop monotonic, align 4
  %stopping = icmp ne i32 %stop, 0
  br i1 %stopping, label %leave, label %consider
consider:
  %count = and i32 %job, 4095
  %parts = zext i32 %count to i64
  %member = icmp ult i64 %id, %parts
  br i1 %member, label %try, label %skip
try:
  %mine = call i1 @claim(i64 %id, i32 %job)
  br i1 %mine, label %work, label %skip
skip:
  br label %idle
work:
  call void @share(i64 %id, i64 %parts)
  br label %finish
finish:
  %left = atomicrmw sub ptr @pending, i32 1 release
  br label %idle
leave:
  ret void
}

define void @relay_pool_set(i32 %threads, i32 %spins) nounwind {
  store i32 %spins, ptr @spins
  store atomic i32 %threads, ptr @threads seq_cst, align 4
  ret void
}

define i32 @relay_pool_ready() nounwind {
  %ready = load atomic i32, ptr @ready seq_cst, align 4
  ret i32 %ready
}

define i32 @relay_pool_stop() nounwind {
entry:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %pair, 1
  br i1 %mine, label %signal, label %refuse
refuse:
  ret i32 0
signal:
  store atomic i32 1, ptr @threads seq_cst, align 4
  store atomic i32 1, ptr @stop seq_cst, align 4
  %old = load atomic i32, ptr @job monotonic, align 4
  %generation = and i32 %old, -4096
  %job = add i32 %generation, 4096
  store atomic i32 %job, ptr @job seq_cst, align 4
  call void @wake()
  ret i32 1
}

define void @relay_pool_reset() nounwind {
  store atomic i32 1, ptr @threads seq_cst, align 4
  store atomic i32 0, ptr @stop seq_cst, align 4
  store atomic i32 0, ptr @ready seq_cst, align 4
  store atomic i32 0, ptr @pending seq_cst, align 4
  store atomic i32 0, ptr @sleepers seq_cst, align 4
  store atomic i32 0, ptr @busy seq_cst, align 4
  call void @renew()
  ret void
}

define void @relay_pool_spin(i64 %rounds) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  call void @pause()
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %rounds
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""

_FUTEX = """
declare i64 @syscall(i64, ...)
declare i32 @sched_yield()

define internal void @sleep(i32 %seen) nounwind {{
  %r = call i64 (i64, ...) @syscall(i64 {number}, ptr @job, i32 128, i32 %seen, ptr null)
  ret void
}}

define internal void @wake() nounwind {{
  %r = call i64 (i64, ...) @syscall(i64 {number}, ptr @job, i32 129, i32 2147483647)
  ret void
}}

define internal void @yield() nounwind {{
  %r = call i32 @sched_yield()
  ret void
}}

define internal void @renew() nounwind {{
  ret void
}}
"""

_WINDOWS = """
declare i32 @WaitOnAddress(ptr, ptr, i64, i32)
declare void @WakeByAddressAll(ptr)
declare i32 @SwitchToThread()

define internal void @sleep(i32 %seen) nounwind {
  %old = alloca i32
  store i32 %seen, ptr %old
  %r = call i32 @WaitOnAddress(ptr @job, ptr %old, i64 4, i32 -1)
  ret void
}

define internal void @wake() nounwind {
  call void @WakeByAddressAll(ptr @job)
  ret void
}

define internal void @yield() nounwind {
  %r = call i32 @SwitchToThread()
  ret void
}

define internal void @renew() nounwind {
  ret void
}
"""

# A condition variable and its mutex are opaque; no POSIX system needs more than 128 bytes of each.
_POSIX = """
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @sched_yield()

@mutex = internal global [128 x i8] zeroinitializer, align 64
@cond = internal global [128 x i8] zeroinitializer, align 64

define internal void @sleep(i32 %seen) nounwind {
entry:
  %a = call i32 @pthread_mutex_lock(ptr @mutex)
  br label %check
check:
  %job = load atomic i32, ptr @job seq_cst, align 4
  %same = icmp eq i32 %job, %seen
  br i1 %same, label %wait, label %done
wait:
  %b = call i32 @pthread_cond_wait(ptr @cond, ptr @mutex)
  br label %check
done:
  %c = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
}

define internal void @wake() nounwind {
  %a = call i32 @pthread_mutex_lock(ptr @mutex)
  %b = call i32 @pthread_cond_broadcast(ptr @cond)
  %c = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
}

define internal void @yield() nounwind {
  %r = call i32 @sched_yield()
  ret void
}

define internal void @renew() nounwind {
  %a = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %b = call i32 @pthread_cond_init(ptr @cond, ptr null)
  ret void
}
"""

_PAUSE = {
    "x86": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "arm": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
    "other": ("", ""),
}


def support_text(target: Target) -> str:
    """The LLVM IR of the support module for `target`."""
    architecture = target.triple.split("-")[0]
    if "linux" in target.triple and architecture in _SYSCALL_FUTEX:
        parking = _FUTEX.format(number=_SYSCALL_FUTEX[architecture])
    else:
        parking = _WINDOWS if "windows" in target.triple else _POSIX
    kind = {"x86_64": "x86", "i686": "x86", "aarch64": "arm", "arm64": "arm"}
    declaration, call = _PAUSE[kind.get(architecture, "other")]
    pause = f"{declaration}\ndefine internal void @pause() nounwind {{\n  {call}\n  ret void\n}}\n"
    return f'target triple = "{target.triple}"\n{_POOL}{SCRATCH}{parking}{pause}'
