"""Native support code: scratch memory of kernels beyond what is safe on a stack.

Blocks that were given back wait in a few slots. A thread begins its search at a slot that its stack
decides, so that it mostly finds the block it had last, which is in its cache. Before a block stand
its size and what malloc returned for it. Blocks are kept until the process ends.
"""

SCRATCH = """
@scratch = internal global [64 x ptr] zeroinitializer, align 128

declare ptr @malloc(i64)
declare void @free(ptr)
declare void @llvm.trap()

define internal ptr @slot(i64 %i) nounwind {
  %here = alloca i8
  %address = ptrtoint ptr %here to i64
  %home = lshr i64 %address, 20
  %place = add i64 %home, %i
  %index = and i64 %place, 63
  %slot = getelementptr ptr, ptr @scratch, i64 %index
  ret ptr %slot
}

define ptr @relay_scratch_take(i64 %bytes) nounwind {
entry:
  br label %look
look:
  %i = phi i64 [ 0, %entry ], [ %next, %further ]
  %slot = call ptr @slot(i64 %i)
  %seen = load atomic ptr, ptr %slot monotonic, align 8
  %some = icmp ne ptr %seen, null
  br i1 %some, label %grab, label %further
grab:
  %block = atomicrmw xchg ptr %slot, ptr null acquire
  %got = icmp ne ptr %block, null
  br i1 %got, label %measure, label %further
measure:
  %sizes = getelementptr i8, ptr %block, i64 -16
  %size = load i64, ptr %sizes
  %enough = icmp uge i64 %size, %bytes
  br i1 %enough, label %reuse, label %drop
reuse:
  ret ptr %block
drop:
  %olds = getelementptr i8, ptr %block, i64 -8
  %old = load ptr, ptr %olds
  call void @free(ptr %old)
  br label %fresh
further:
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, 64
  br i1 %more, label %look, label %fresh
fresh:
  %padded = add i64 %bytes, 65663
  %rounded = and i64 %padded, -65536
  %raw = call ptr @malloc(i64 %rounded)
  %failed = icmp eq ptr %raw, null
  br i1 %failed, label %fail, label %align
fail:
  call void @llvm.trap()
  unreachable
align:
  %begin = ptrtoint ptr %raw to i64
  %beyond = add i64 %begin, 127
  %aligned = and i64 %beyond, -64
  %made = inttoptr i64 %aligned to ptr
  %useful = sub i64 %rounded, 128
  %sized = getelementptr i8, ptr %made, i64 -16
  store i64 %useful, ptr %sized
  %raws = getelementptr i8, ptr %made, i64 -8
  store ptr %raw, ptr %raws
  ret ptr %made
}

define void @relay_scratch_give(ptr %block) nounwind {
entry:
  br label %look
look:
  %i = phi i64 [ 0, %entry ], [ %next, %further ]
  %slot = call ptr @slot(i64 %i)
  %pair = cmpxchg ptr %slot, ptr null, ptr %block release monotonic
  %kept = extractvalue { ptr, i1 } %pair, 1
  br i1 %kept, label %leave, label %further
further:
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, 64
  br i1 %more, label %look, label %full
full:
  %raws = getelementptr i8, ptr %block, i64 -8
  %raw = load ptr, ptr %raws
  call void @free(ptr %raw)
  br label %leave
leave:
  ret void
}
"""
