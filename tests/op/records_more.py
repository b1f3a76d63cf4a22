"""Records of images, and of the less common operators on tensors."""

from collections.abc import Iterator

from op.record import In, Record

EXEMPT: dict[str, str] = {}

NAN = float("nan")
INF = float("inf")


def resize_records() -> Iterator[Record]:
    modes = "half_pixel align_corners asymmetric pytorch_half_pixel tf_half_pixel_for_nn".split()
    for mode in modes:
        for method in ("nearest_neighbor", "linear", "cubic"):
            attrs = {"size": (7, 4), "method": method, "coordinate_transformation_mode": mode}
            note = f"{mode}-{method}"
            yield Record("image.resize2d", (In((2, 3, 5, 6)),), attrs, note=note)
            small = {**attrs, "size": (1, 3)}
            yield Record("image.resize2d", (In((1, 2, 4, 1)),), small, note=f"{note}-small")
        for rounding in ("round", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            attrs = {
                "size": (9, 3),
                "method": "nearest_neighbor",
                "coordinate_transformation_mode": mode,
                "rounding_method": rounding,
            }
            note = f"{mode}-{rounding}"
            yield Record("image.resize2d", (In((1, 1, 6, 6)),), attrs, note=note)
            yield Record("image.resize2d", (In((1, 1, 7, 5), "int32"),), attrs, note=f"{note}-odd")
    for method in ("nearest_neighbor", "linear", "cubic"):
        for rank, size in ((1, (6,)), (3, (3, 5, 2))):
            shape = (1, 2, 4, 3, 5)[: 2 + rank]
            attrs = {"size": size, "method": method}
            yield Record(f"image.resize{rank}d", (In(shape),), attrs, note=method)
        crop = {
            "size": (4, 3),
            "method": method,
            "coordinate_transformation_mode": "tf_crop_and_resize",
            "roi": (0.1, -0.2, 0.83, 1.1),
            "extrapolation_value": 5.0,
            "rounding_method": "round",
        }
        yield Record("image.resize2d", (In((2, 1, 6, 7)),), crop, note=f"roi-{method}")
        whole = {**crop, "roi": None, "size": (1, 5)}
        yield Record("image.resize2d", (In((2, 1, 6, 7)),), whole, note=f"roi-none-{method}")
    cubic = {"size": (9, 2), "method": "cubic", "cubic_alpha": -0.75, "cubic_exclude": 1}
    yield Record("image.resize2d", (In((1, 2, 4, 5)),), cubic, note="exclude")
    yield Record(
        "image.resize2d", (In((1, 4, 5, 2)),), {"size": (6, 3), "layout": "NHWC"}, note="NHWC"
    )
    blocked = {"size": (6, 3), "layout": "NCHW4c"}
    yield Record("image.resize2d", (In((1, 2, 4, 5, 4)),), blocked, note="NCHW4c")
    yield Record("image.resize2d", (In((0, 2, 4, 5)),), {"size": (2, 7)}, note="none")
    yield Record("image.resize2d", (In((1, 2, 4, 5)),), {"size": (4, 5)}, note="same")
    bits = {"size": (8, 10)}
    yield Record("image.resize2d", (In((1, 2, 4, 5), "uint8", 0, 200),), bits, note="uint8")
    yield Record("image.resize2d", (In((1, 2, 4, 5), "float64"),), {"size": (5, 3)}, note="float64")
    half = (In((1, 2, 4, 5), "float16"),)
    yield Record("image.resize2d", half, {"size": (5, 3)}, tolerance=2e-3, note="float16")
    wide = {"size": (8, 3), "out_dtype": "float32", "method": "nearest_neighbor"}
    yield Record("image.resize2d", (In((1, 2, 4, 5), "int8", -9, 9),), wide, note="out_dtype")
    yield Record(
        "image.resize2d", (In((1, 3, 20, 37)),), {"size": (41, 75)}, tolerance=1e-4, note="long"
    )
    yield Record(
        "dyn.image.resize2d",
        (In((1, 2, 4, 5)), In(values=[3, 7], dtype="int32"), In(values=[0.0, 0.0, 1.0, 1.0])),
        skip={
            "infer": "sizes of the result are known only at run time",
        },
    )


def sampling_records() -> Iterator[Record]:
    for shape in ((1, 1), (4, 7)):
        for dtype in ("float32", "float64"):
            attrs = {"target_shape": shape}
            yield Record(
                "image.affine_grid", (In((3, 2, 3), dtype),), attrs, note=f"{shape[0]}-{dtype}"
            )
    for padding in ("zeros", "border", "reflection"):
        for corners in (True, False):
            for method in ("nearest", "bilinear", "bicubic"):
                attrs = {"method": method, "padding_mode": padding, "align_corners": corners}
                pair = (In((2, 3, 5, 4)), In((2, 2, 3, 7), low=-2.6, high=2.6))
                note = f"{padding}-{corners}-{method}"
                yield Record("image.grid_sample", pair, attrs, note=note, tolerance=1e-4)
                lone = (In((1, 2, 1, 3)), In((1, 2, 2, 5), low=-1.5, high=1.5))
                yield Record("image.grid_sample", lone, attrs, note=f"{note}-lone", tolerance=1e-4)
                odd = (
                    In((1, 1, 3, 3)),
                    In(values=[[[[NAN, INF, -1e30, 0.0]], [[0.0, 0.0, 1e20, NAN]]]]),
                )
                if method == "nearest":
                    yield Record("image.grid_sample", odd, attrs, note=f"{note}-far")
                if method == "bicubic":
                    continue
                volume = (In((2, 2, 3, 4, 2)), In((2, 3, 2, 1, 5), low=-1.7, high=1.7))
                attrs = {**attrs, "layout": "NCDHW"}
                yield Record(
                    "image.grid_sample", volume, attrs, note=f"{note}-volume", tolerance=1e-4
                )
    boxes = In(values=[[0, 0, 1, 1], [0.1, 0.25, 0.77, 0.5], [0.9, 0.8, -0.3, 1.63]])
    which = In(values=[1, 0, 1], dtype="int32")
    for method in ("bilinear", "nearest_neighbor"):
        for layout, shape in (("NCHW", (2, 3, 5, 6)), ("NHWC", (2, 5, 6, 3))):
            attrs = {"crop_size": (4, 5), "layout": layout, "method": method}
            attrs["extrapolation_value"] = 0.5
            note = f"{method}-{layout}"
            yield Record("image.crop_and_resize", (In(shape), boxes, which), attrs, note=note)
        tiny = {"crop_size": (1, 3), "method": method}
        inputs = (In((2, 1, 4, 4)), boxes, In(values=[0, 0, 1], dtype="int64"))
        yield Record("image.crop_and_resize", inputs, tiny, note=f"{method}-row")
    none = (In((2, 1, 4, 4)), In((0, 4)), In((0,), "int32"))
    yield Record("image.crop_and_resize", none, {"crop_size": (2, 2)}, note="none")
    cases = [
        ((2, 3, 7, 8), (3, 2, 3), {}),
        ((1, 2, 7, 8), (2, 3, 3), {"padding": 1, "strides": 2}),
        ((1, 2, 9, 8), (2, 3, 2), {"padding": (2, 0, 1, 1), "dilations": (2, 3)}),
        ((1, 7, 8, 2), (3, 3, 2), {"data_layout": "NHWC", "kernel_layout": "HWI", "padding": 1}),
    ]
    for shape, window, attrs in cases:
        yield Record("image.dilation2d", (In(shape), In(window)), attrs, note=str(shape))
    whole = (In((1, 2, 5, 5), "int32", -50, 50), In((2, 2, 2), "int32"))
    yield Record("image.dilation2d", whole, {"out_dtype": "float32"}, note="int32")


def tensor_records() -> Iterator[Record]:
    sums = [
        ("ij,jk->ik", ((2, 3), (3, 4))),
        ("ij,jk", ((5, 7), (7, 3))),
        ("bij,bkj->bik", ((2, 3, 5), (2, 4, 5))),
        ("ii->i", ((4, 4),)),
        ("ii", ((3, 3),)),
        ("ij->", ((3, 5),)),
        ("ba", ((3, 5),)),
        ("...ij,...jk->...ik", ((2, 1, 3, 4), (5, 4, 2))),
        ("i...->...", ((3, 2, 4),)),
        ("ij,j->ij", ((3, 4), (4,))),
        ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 5))),
        ("ij,ij,ik->jk", ((3, 2), (3, 2), (3, 4))),
        ("ij,ij->i", ((3, 1), (3, 5))),
        ("i,j->ij", ((3,), (0,))),
        ("i,i->", ((0,), (0,))),
        ("i j , k", ((2, 3), (4,))),
        (",ij->ji", ((), (2, 3))),
        ("iji,j->i", ((3, 2, 3), (2,))),
    ]
    for equation, shapes in sums:
        fields = (tuple(In(s) for s in shapes),)
        yield Record("einsum", fields, {"equation": equation}, tolerance=1e-4, note=equation)
    whole = ((In((3, 4), "int32"), In((4, 2), "int32")),)
    yield Record("einsum", whole, {"equation": "ij,jk->ki"}, note="int32")
    long = ((In((65, 130)), In((130, 70))),)
    yield Record("einsum", long, {"equation": "ij,jk->ik"}, tolerance=1e-3, note="long")

    for dtype in ("int32", "int64"):
        inputs = ((In((4, 5, 3)), In((2, 1), dtype, -4, 3), In((3,), dtype, -5, 4)),)
        yield Record("adv_index", inputs, note=dtype)
    yield Record("adv_index", ((In((4, 3), "uint8", 0, 9), In((5,), "int8", 0, 3)),), note="rows")
    yield Record("adv_index", ((In((4,)), In((2, 2), "int64", -4, 3)),), note="vector")
    yield Record("adv_index", ((In((4, 3)), In((0,), "int32")),), note="no-index")

    sizes = In(values=[3, 4, 5], dtype="int32")
    yield Record("unravel_index", (In((7,), "int32", 0, 59), sizes), note="vector")
    yield Record("unravel_index", (In((), "int64", 0, 59), sizes), note="scalar")
    yield Record("unravel_index", (In((2, 3), "int64", 0, 59), sizes), note="matrix")
    yield Record(
        "unravel_index", (In((0,), "int32"), In(values=[2, 0], dtype="int32")), note="none"
    )
    yield Record("invert_permutation", (In(values=[3, 4, 0, 2, 1], dtype="int32"),))
    yield Record("invert_permutation", (In(values=[1, 0], dtype="int64"),), note="int64")
    yield Record("invert_permutation", (In((0,), "int32"),), note="none")

    slides = [
        ((2, 3, 8, 8), 1, (3, 4, 5), (1, 2, 3)),
        ((2, 7), -1, (3,), (2,)),
        ((5, 4), 0, (5, 4), (1, 1)),
        ((0, 6), 1, (4,), (1,)),
    ]
    for shape, axis, window, strides in slides:
        attrs = {"axis": axis, "window_shape": window, "strides": strides}
        yield Record("sliding_window", (In(shape),), attrs, note=str(shape))
    seven = {"axis": 0, "window_shape": 2, "strides": 1}
    yield Record("sliding_window", (In((7,), "int8"),), seven, note="int8")

    sets: list[tuple[tuple[int, ...], tuple[int, ...], list[list[int]]]] = [
        ((5, 6), (3, 2), [[1, 0], [4, 6], [1, 3]]),
        ((5, 6), (2, 3), [[4, -1], [0, 0], [-2, -2]]),
        ((5, 6), (2, 6), [[-2], [99], [1]]),
        ((5,), (0,), [[3], [3], [1]]),
        ((5,), (5,), [[-1], [-6], [-1]]),
        ((4, 3), (4, 3), [[], [], []]),
        ((6,), (2,), [[-99], [4], [2]]),
    ]
    for shape, part, ends in sets:
        vectors = [In((len(e),), "int64", values=e) for e in ends]
        dynamic = {"gradient": "the slice is of unknown size"} if not part[0] else {}
        yield Record("strided_set", (In(shape), In(part), *vectors), note=str(ends), skip=dynamic)
    whole_set = [
        In(values=[1], dtype="int32"),
        In(values=[3], dtype="int32"),
        In(values=[1], dtype="int32"),
    ]
    yield Record("strided_set", (In((4,), "int8"), In((2,), "int8"), *whole_set), note="int8")

    bands: list[tuple[tuple[int, ...], tuple[int, ...], int, int]] = [
        ((3, 4), (3,), 0, 0), ((2, 3, 4), (2, 3), 1, 1), ((4, 3), (3,), -1, -1),
        ((2, 4, 4), (2, 4, 4), -2, 1), ((3, 5), (2, 3), 1, 2), ((5, 3), (3, 3), -3, -1),
        ((3, 0), (0,), 0, 0), ((3, 5), (7, 3), -2, 4),
    ]  # fmt: skip
    for shape, diagonal, k1, k2 in bands:
        for above in (True, False):
            for below in (True, False):
                attrs = {"k1": k1, "k2": k2}
                attrs |= {"super_diag_right_align": above, "sub_diag_right_align": below}
                note = f"{shape}-{k1}-{k2}-{above}-{below}"
                yield Record("matrix_set_diag", (In(shape), In(diagonal)), attrs, note=note)

    values = [
        ("int32", [4, 5, 1, 2, 3, 3, 4, 5]),
        ("int64", [7]),
        ("float32", [2.5, NAN, -1.0, 2.5, INF, NAN, -INF, -1.0, 0.0]),
        ("uint8", [200, 200, 200]),
        ("float64", [3.0, 2.0, 1.0, 1.0]),
    ]
    for ordered in (True, False):
        for counts in (True, False):
            attrs = {"sorted": ordered, "return_counts": counts}
            for dtype, numbers in values:
                note = f"{dtype}-{ordered}-{counts}"
                yield Record("unique", (In(values=numbers, dtype=dtype),), attrs, note=note)
            yield Record("unique", (In((0,)),), attrs, note=f"none-{ordered}-{counts}")
            some = (In((57,), "int32", 0, 20),)
            yield Record("unique", some, attrs, note=f"long-{ordered}-{counts}")


def bit_records() -> Iterator[Record]:
    fixed = {"gradient": "in float64 the width is another"}
    pairs = [
        ("float32", "int32"), ("float32", "uint32"), ("int32", "float32"), ("uint32", "float32"),
        ("float64", "int64"), ("int64", "float64"), ("float16", "int16"), ("int16", "float16"),
        ("int8", "uint8"), ("uint16", "int16"), ("float32", "float32"),
    ]  # fmt: skip
    for source, target in pairs:
        for shape in ((3, 37), (), (0, 2)):
            low, high = (-9, 9) if source.startswith("float") else (0, 2**14)
            data = In(shape, source, low, high)
            note = f"{source}-{target}-{shape}"
            attrs = {"dtype": target}
            yield Record("reinterpret", (data,), attrs, tolerance=0, note=note, skip=fixed)
    special = In(values=[0.0, -0.0, 1.0, INF, -INF, NAN, 1e-40])
    attrs = {"dtype": "int32"}
    yield Record("reinterpret", (special,), attrs, tolerance=0, note="special", skip=fixed)


def signal_records() -> Iterator[Record]:
    for inverse in (False, True):
        for shape in ((8,), (2, 3, 5), (1,), (3, 0), (17,)):
            attrs = {"inverse": inverse}
            pair = (In(shape), In(shape))
            yield Record("dft", pair, attrs, tolerance=1e-4, note=f"{shape}-{inverse}")
        double = (In((2, 7), "float64"), In((2, 7), "float64"))
        yield Record("dft", double, {"inverse": inverse}, tolerance=1e-9, note=f"float64-{inverse}")
    frames = [
        ((2, 20), 6, 3, 6, False, True),
        ((19,), 5, 2, 5, True, False),
        ((1, 16), 8, 4, 5, True, True),
        ((3, 4), 4, 1, 4, False, False),
        ((0, 9), 4, 2, 4, False, True),
    ]
    for shape, size, hop, length, normalized, onesided in frames:
        attrs = {"n_fft": size, "hop_length": hop, "win_length": length}
        attrs |= {"normalized": normalized, "onesided": onesided}
        inputs = (In(shape), In((length,), low=0.0, high=1.0))
        yield Record("stft", inputs, attrs, tolerance=1e-4, note=str(shape))
    ones = (In((12,)), In(values=[1, 1, 1, 1], dtype="int32"))
    attrs = {"n_fft": 4, "hop_length": 4, "win_length": 4}
    yield Record("stft", ones, attrs, tolerance=1e-4, note="int32")
    q31 = In((3,), "int32", 2**29, 2**31 - 1)
    shift = In((3,), "int32", 0, 4)
    for left in (True, False):
        for right in (True, False):
            attrs = {"is_lshift_required": left, "is_rshift_required": right, "axes": (1,)}
            data = In((2, 3, 4), "int32", -(2**14), 2**14)
            note = f"{left}-{right}"
            yield Record(
                "fixed_point_multiply_per_axis", (data, q31, shift, shift), attrs, note=note
            )
    attrs = {"is_rshift_required": True, "axes": (-1, 0)}
    table = In((3, 2), "int32", 2**29, 2**31 - 1)
    data = In((2, 3), "int32", -999, 999)
    zero = In((3, 2), "int32", 0, 3)
    yield Record("fixed_point_multiply_per_axis", (data, table, zero, zero), attrs, note="table")


def loss_records() -> Iterator[Record]:
    for reduction in ("mean", "sum", "none"):
        attrs = {"reduction": reduction}
        inputs = (In((4, 3)), In((4,), "int32", 0, 2), In((3,), low=0.5, high=1.5))
        yield Record("nn.nll_loss", inputs, attrs, note=reduction)
        deep = (In((2, 5, 3, 2)), In((2, 3, 2), "int64", 0, 4), In((5,), low=0.5, high=1.5))
        yield Record("nn.nll_loss", deep, {**attrs, "ignore_index": 2}, note=f"{reduction}-deep")
        ignored = (In((3, 2)), In(values=[-100, 1, -100], dtype="int32"), In((2,), low=0.5))
        yield Record("nn.nll_loss", ignored, attrs, note=f"{reduction}-ignored")
    none = (In((0, 3)), In((0,), "int32"), In((3,)))
    yield Record("nn.nll_loss", none, {"reduction": "sum"}, note="none")


def network_records() -> Iterator[Record]:
    for mode in ("half_pixel", "align_corners", "asymmetric"):
        for method in ("nearest_neighbor", "trilinear"):
            attrs = {"scale_d": 2, "scale_h": 1.5, "scale_w": 3, "method": method}
            attrs["coordinate_transformation_mode"] = mode
            volume = (In((1, 2, 3, 4, 2)),)
            sizes = {"infer_any": "the scale is no integer"}
            note = f"{mode}-{method}"
            yield Record("nn.upsampling3d", volume, attrs, note=note, skip=sizes)
    last = {"scale_d": 1, "scale_h": 2, "scale_w": 2, "layout": "NDHWC"}
    yield Record("nn.upsampling3d", (In((1, 2, 3, 2, 3), "int32"),), last, note="NDHWC")
    scale = In(values=2.0)
    sizes = {"infer": "sizes of the result are known only at run time"}
    yield Record("dyn.nn.upsampling3d", (In((1, 1, 2, 3, 2)), scale, scale, scale), skip=sizes)
    for shape, new, axis in (((7, 3), 2, 0), ((2, 5, 3), 5, 1), ((4, 6), 0, -1), ((2, 3), 1, -1)):
        data = list(shape)
        data[axis] = new
        pair = (In(tuple(data)), In(shape))
        yield Record("nn.fifo_buffer", pair, {"axis": axis}, note=f"{shape}-{new}")
    matches = [
        ((1, 3, 10, 10), {"kernel_size": 1, "max_displacement": 4, "padding": 4}),
        ((2, 2, 9, 8), {"kernel_size": 3, "max_displacement": 2, "stride1": 2, "padding": (3, 2)}),
        ((1, 2, 12, 9), {"max_displacement": 3, "stride2": 2, "is_multiply": False}),
    ]
    for shape, attrs in matches:
        yield Record(
            "nn.correlation", (In(shape), In(shape)), attrs, note=str(shape), tolerance=1e-4
        )
    moves: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], dict[str, object]]] = [
        ((1, 4, 7, 6), (1, 18, 5, 4), (5, 4, 3, 3), {}),
        ((2, 4, 7, 6), (2, 36, 7, 6), (6, 2, 3, 3),
         {"padding": 1, "groups": 2, "deformable_groups": 2}),
        ((1, 3, 9, 8), (1, 12, 4, 3), (2, 3, 2, 3), {"strides": 2, "dilation": (1, 1)}),
        ((1, 6, 7, 2), (1, 5, 5, 24), (3, 2, 2, 4),
         {"data_layout": "NHWC", "kernel_layout": "HWIO", "deformable_groups": 2,
          "padding": (0, 0, 1, 0), "dilation": (1, 2)}),
    ]  # fmt: skip
    for shape, offset, weight, attrs in moves:
        inputs = (In(shape), In(offset), In(weight))
        yield Record("nn.deformable_conv2d", inputs, attrs, note=str(shape), tolerance=1e-4)
    words = [
        ((2, 32), {}), ((1, 64, 3, 2), {"bits": 2}), ((3, 16), {"pack_type": "uint8", "bits": 3}),
        ((16, 5), {"pack_axis": 0, "bit_axis": 0, "pack_type": "uint16"}),
        ((2, 64), {"pack_axis": -1, "bit_axis": -1, "pack_type": "uint64"}), ((0, 32), {}),
    ]  # fmt: skip
    for shape, attrs in words:
        data = In(shape, "int32", 0, 9)
        yield Record("nn.bitpack", (data,), attrs, note=f"{shape}-{attrs.get('pack_type')}")
    for unipolar in (True, False):
        attrs = {"data_bits": 2, "weight_bits": 1, "unipolar": unipolar, "units": 5}
        pair = (In((3, 32), "uint8", 0, 3), In((5, 32), "uint8", 0, 1))
        yield Record("nn.bitserial_dense", pair, attrs, note=f"{unipolar}")
        attrs = {"data_bits": 3, "weight_bits": 2, "unipolar": unipolar, "out_dtype": "int32"}
        pair = (In((1, 7), "int32", -9, 9), In((2, 7), "int32", -9, 9))
        yield Record("nn.bitserial_dense", pair, attrs, note=f"{unipolar}-int32")
        pair = (In((1, 5, 6, 7), "int8", 0, 3), In((4, 5, 3, 3), "int8", 0, 1))
        attrs = {"activation_bits": 2, "unipolar": unipolar, "padding": 1, "strides": (1, 2)}
        yield Record("nn.bitserial_conv2d", pair, attrs, note=f"{unipolar}")
        pair = (In((1, 6, 7, 5), "int8", 0, 3), In((2, 3, 5, 4), "int8", 0, 3))
        attrs = {"activation_bits": 2, "weight_bits": 2, "kernel_size": (2, 3), "channels": 4}
        attrs |= {"data_layout": "NHWC", "kernel_layout": "HWIO", "unipolar": unipolar}
        yield Record("nn.bitserial_conv2d", pair, attrs, note=f"{unipolar}-NHWC")


def _index(values: list[int], dtype: str = "int32") -> In:
    return In((len(values),), dtype, values=values)


def sparse_records() -> Iterator[Record]:
    rows = (_index([0, 3, 1, 2]), _index([0, 2, 2, 4]))
    blocks = (_index([0, 2, 1], "int64"), _index([0, 2, 3], "int64"))
    nothing = (_index([]), _index([0, 0, 0]))
    for left in (False, True):
        attrs = {"sparse_lhs": left}
        inputs = (In((3, 4)), In((4,)), *rows)
        yield Record("nn.sparse_dense", inputs, attrs, tolerance=1e-4, note=f"rows-{left}")
        inputs = (In((5, 6)), In((3, 3, 2)), *blocks)
        yield Record("nn.sparse_dense", inputs, attrs, tolerance=1e-4, note=f"blocks-{left}")
        inputs = (In((3, 4)), In((0,)), *nothing)
        yield Record("nn.sparse_dense", inputs, attrs, note=f"none-{left}")
    yield Record("nn.sparse_add", (In((3, 4)), In((4,)), *rows))
    yield Record("nn.sparse_add", (In((2, 4), "int32"), In((0,), "int32"), *nothing), note="none")
    square = (_index([1, 0, 2, 0]), _index([0, 1, 3, 4]))
    yield Record("nn.sparse_transpose", (In((4,)), *square))
    yield Record("nn.sparse_transpose", (In((0,), "float64"), *nothing), note="none")
    yield Record("nn.sparse_conv2d", (In((1, 3, 2, 4)), In((4,)), *rows), tolerance=1e-4)
    turned = {"layout": "NCHW"}
    inputs = (In((1, 6, 3, 2)), In((3, 3, 2)), *blocks)
    yield Record("nn.sparse_conv2d", inputs, turned, tolerance=1e-4, note="NCHW")
    window = (In((1, 4, 5, 2)), In((5,)), _index([0, 17, 7, 8, 3]), _index([0, 2, 5]))
    yield Record("nn.sparse_conv2d", window, {"kernel_size": (3, 3)}, tolerance=1e-4, note="window")

    places = In(values=[[0, 1], [2, 0], [0, 1], [1, 3]], dtype="int32")
    square_attrs = {"output_shape": (3, 4)}
    yield Record("sparse_to_dense", (places, In((4,)), In()), square_attrs)
    yield Record("sparse_to_dense", (places, In(), In((1,))), square_attrs, note="one-value")
    line = {"output_shape": (5,)}
    vector = (_index([0, 4], "int64"), In((2,), "int32"), In((), "int32"))
    yield Record("sparse_to_dense", vector, line, note="vector")
    scalar = (In(values=3, dtype="int32"), In((), "int32"), In((), "int32"))
    yield Record("sparse_to_dense", scalar, line, note="scalar")
    none = (In((0, 2), "int32"), In((0,)), In())
    yield Record("sparse_to_dense", none, {"output_shape": (2, 0)}, note="none")
    unknown = "sizes of the result are known only at run time"
    late = (places, In((4,)), In(), _index([3, 4]))
    yield Record(
        "dyn.sparse_to_dense", late, skip={"infer": unknown, "infer_any": "needs the rank"}
    )
    for new in ([4, 3], [-1], [2, -1, 2], [1, 12]):
        inputs = (places, _index([3, 4], "int64"), _index(new, "int64"))
        yield Record("sparse_reshape", inputs, note=str(new))
    empty = (In((0, 2), "int64"), _index([3, 4]), _index([2, 6]))
    yield Record("sparse_reshape", empty, note="none")
    rows_of = (
        In(values=[[1, 2], [0, 1], [1, 0]], dtype="int64"),
        In((3,)),
        _index([4, 3]),
        In((1,)),
    )
    skip = {"infer": unknown}
    yield Record("sparse_fill_empty_rows", rows_of, skip=skip)
    nobody = (In((0, 2), "int32"), In((0,), "int32"), _index([2, 3]), In((), "int32"))
    yield Record("sparse_fill_empty_rows", nobody, skip=skip, note="none")


RECORDS: list[Record] = [
    *resize_records(),
    *sampling_records(),
    *tensor_records(),
    *bit_records(),
    *signal_records(),
    *loss_records(),
    *network_records(),
    *sparse_records(),
]
