"""Native support code: threads and scratch memory, written in LLVM's text like every kernel.

A pool is a set of threads that sit in ``relay_worker`` and share these words:

- ``job``: a generation number times 4096 plus the number of threads that take part. A new job is
  published by one atomic store; a thread whose number is not below that count skips the job
  without reading anything else.
- ``fn``, ``env``, ``n``, ``pieces``: the job itself, stable until all of it has been done.
- ``open``: for every part, the job it belongs to and which of its pieces nobody has begun, in one
  word. Thread `i` takes pieces of part `i` from its beginning, half of what is left at a time.
  Whoever has nothing left takes from the ends of the others' parts: a slow core, or one that the
  system gives to somebody else, leaves its work to those that have time, and the caller waits only
  for pieces that have been begun, never for a thread that has not woken yet. Where a part is one
  piece, only the caller looks at others' parts: reading them takes long beside such jobs.
- ``pending``: pieces that are not finished. ``busy``: whether a caller owns the pool.
- ``sleepers``: threads that have given up spinning and are parked.

Threads spin for ``spins`` rounds, then park: on a futex on Linux, by ``WaitOnAddress`` on Windows,
on a POSIX condition variable elsewhere. ``relay_parallel_for`` runs the job on the calling thread
alone when there is one iteration or one thread, or when another caller owns the pool.
Every other job goes through its iterations from the end: what the job before it used last, its
results or weights that are used again, is then still in the caches.
Parts are contiguous ranges of iterations, of nearly equal length; what one iteration computes does
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
@pieces = internal global i64 1, align 8
@backwards = internal global i1 false, align 1
@turns = internal global i8 0, align 1
@pending = internal global i32 0, align 128
@busy = internal global i32 0, align 128
@threads = internal global i32 1, align 4
@spins = internal global i32 1000, align 4
@sleepers = internal global i32 0, align 128
@ready = internal global i32 0, align 128
@open = internal global [4096 x [8 x i64]] zeroinitializer, align 128
@stop = internal global i32 0, align 4

define internal i1 @turn() nounwind {
  %old = load atomic i8, ptr @turns monotonic, align 1
  %new = xor i8 %old, 1
  store atomic i8 %new, ptr @turns monotonic, align 1
  %backwards = trunc i8 %old to i1
  ret i1 %backwards
}

define internal void @walk(ptr %fn, ptr %env, i64 %begin, i64 %end, i1 %backwards) nounwind {
  %last = sub i64 %end, 1
  %before = sub i64 %begin, 1
  %first = select i1 %backwards, i64 %last, i64 %begin
  %stop = select i1 %backwards, i64 %before, i64 %end
  %step = select i1 %backwards, i64 -1, i64 1
  call void %fn(ptr %env, i64 %first, i64 %stop, i64 %step)
  ret void
}

define internal void @run(i64 %part, i64 %parts, i64 %begin, i64 %end) nounwind {
  %fn = load ptr, ptr @fn
  %env = load ptr, ptr @env
  %n = load i64, ptr @n
  %pieces = load i64, ptr @pieces
  %backwards = load i1, ptr @backwards
  %from_end = sub i64 %pieces, %end
  %to_end = sub i64 %pieces, %begin
  %low = select i1 %backwards, i64 %from_end, i64 %begin
  %high = select i1 %backwards, i64 %to_end, i64 %end
  %whole = mul i64 %part, %pieces
  %all = mul i64 %parts, %pieces
  %a = add i64 %whole, %low
  %b = add i64 %whole, %high
  %an = mul i64 %a, %n
  %bn = mul i64 %b, %n
  %first = udiv i64 %an, %all
  %last = udiv i64 %bn, %all
  %empty = icmp eq i64 %first, %last
  br i1 %empty, label %leave, label %some
some:
  call void @walk(ptr %fn, ptr %env, i64 %first, i64 %last, i1 %backwards)
  br label %leave
leave:
  ret void
}

define internal i32 @work(i64 %id, i64 %parts, i32 %job) nounwind {
entry:
  %wide = zext i32 %job to i64
  %tag = shl i64 %wide, 32
  br label %visit
visit:
  %turn = phi i64 [ 0, %entry ], [ %turn.next, %nothing ]
  %done = phi i32 [ 0, %entry ], [ %done.now, %nothing ]
  %number = add i64 %id, %turn
  %part = urem i64 %number, %parts
  %slot = getelementptr [4096 x [8 x i64]], ptr @open, i64 0, i64 %part
  %own = icmp eq i64 %turn, 0
  br label %look
look:
  %done.now = phi i32 [ %done, %visit ], [ %done.now, %take ], [ %done.more, %mine ]
  %word = load atomic i64, ptr %slot monotonic, align 8
  %its = and i64 %word, -4294967296
  %same = icmp eq i64 %its, %tag
  %low = lshr i64 %word, 16
  %begin = and i64 %low, 65535
  %end = and i64 %word, 65535
  %some = icmp ult i64 %begin, %end
  %usable = and i1 %same, %some
  br i1 %usable, label %take, label %nothing
take:
  %left = sub i64 %end, %begin
  %odd = add i64 %left, 1
  %half = lshr i64 %odd, 1
  %front = add i64 %begin, %half
  %back = sub i64 %end, %half
  %first = select i1 %own, i64 %begin, i64 %back
  %last = select i1 %own, i64 %front, i64 %end
  %begin.left = select i1 %own, i64 %front, i64 %begin
  %end.left = select i1 %own, i64 %end, i64 %back
  %begin.high = shl i64 %begin.left, 16
  %range = or i64 %begin.high, %end.left
  %word.left = or i64 %tag, %range
  %pair = cmpxchg ptr %slot, i64 %word, i64 %word.left acquire monotonic
  %taken = extractvalue { i64, i1 } %pair, 1
  br i1 %taken, label %mine, label %look
mine:
  call void @run(i64 %part, i64 %parts, i64 %first, i64 %last)
  %count = trunc i64 %half to i32
  %done.more = add i32 %done.now, %count
  br label %look
nothing:
  %turn.next = add i64 %turn, 1
  %more = icmp ult i64 %turn.next, %parts
  %caller = icmp eq i64 %id, 0
  %each = load i64, ptr @pieces
  %divided = icmp ugt i64 %each, 1
  %early = icmp ne i32 %done.now, 0
  %hopeful = and i1 %divided, %early
  %willing = or i1 %caller, %hopeful
  %on = and i1 %more, %willing
  br i1 %on, label %visit, label %leave
leave:
  ret i32 %done.now
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
  %upward = add i64 %n, %parts
  %above = sub i64 %upward, 1
  %each = udiv i64 %above, %parts
  %short = icmp ult i64 %each, 16
  %pieces = select i1 %short, i64 %each, i64 16
  store i64 %pieces, ptr @pieces
  %total = mul i64 %parts, %pieces
  %every = trunc i64 %total to i32
  store atomic i32 %every, ptr @pending monotonic, align 4
  %old = load atomic i32, ptr @job monotonic, align 4
  %generation = and i32 %old, -4096
  %bumped = add i32 %generation, 4096
  %job = or i32 %bumped, %count
  %tag.low = zext i32 %job to i64
  %tag = shl i64 %tag.low, 32
  %word = or i64 %tag, %pieces
  br label %open
open:
  %part = phi i64 [ 0, %publish ], [ %following, %open ]
  %slot = getelementptr [4096 x [8 x i64]], ptr @open, i64 0, i64 %part
  store atomic i64 %word, ptr %slot monotonic, align 8
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
  %did = call i32 @work(i64 0, i64 %parts, i32 %job)
  %others = atomicrmw sub ptr @pending, i32 %did release
  br label %join
join:
  %round = phi i32 [ 0, %work ], [ %after, %again ]
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
  %did = call i32 @work(i64 %id, i64 %parts, i32 %job)
  %any = icmp ne i32 %did, 0
  br i1 %any, label %finish, label %skip
skip:
  br label %idle
finish:
  %left = atomicrmw sub ptr @pending, i32 %did release
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
