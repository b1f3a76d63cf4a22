"""Programs as drawings: boxes and arrows, as SVG.

>>> import relay
>>> x = relay.var("x", shape=(2, 3))
>>> relay.draw(relay.nn.relu(x)).save("relu.svg")  # doctest: +SKIP

A notebook shows what `draw` returns as the picture itself. The layout is made by the package
grandalf, which ``pip install relay-ir[draw]`` brings along.
"""

from relay.drawing.programs import Drawing, draw

__all__ = ["Drawing", "draw"]
