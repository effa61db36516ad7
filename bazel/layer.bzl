"""The layers of the library, as in cmake/GrpcBreakerTargets.cmake."""

load("@rules_cc//cc:defs.bzl", "cc_library")

_PRIVATE_VISIBILITY = [
    "//tests:__subpackages__",
    "//tools:__subpackages__",
]

def _private(layers):
    return [":" + layer + "_private" for layer in layers]

def breaker_layer(
        name,
        hdrs,
        folder = None,
        srcs = None,
        generated = [],
        layers = [],
        deps = [],
        **kwargs):
    """Declares one layer: the folder grpc_breaker/<name>.

    Args:
      name: of the target, and of its folder unless `folder` says otherwise.
      hdrs: its public headers, in grpc_breaker/.
      folder: where its sources and private headers are.
      srcs: its sources; all of the folder's by default.
      generated: sources beside them that are made.
      layers: those below that it includes headers of, private ones as well.
      deps: other libraries.
      **kwargs: for cc_library.
    """
    folder = "grpc_breaker/" + (folder or name)
    hdrs = ["grpc_breaker/" + header for header in hdrs]
    private_hdrs = native.glob([folder + "/*.h"], exclude = hdrs)
    cc_library(
        name = name,
        srcs = (srcs or native.glob([folder + "/*.cc"])) + generated + private_hdrs,
        hdrs = hdrs,
        includes = ["."],
        deps = [":" + layer for layer in layers] + _private(layers) + deps,
        **kwargs
    )

    # For the layers above, and for our own tests and tools.
    cc_library(
        name = name + "_private",
        hdrs = private_hdrs,
        includes = ["."],
        visibility = _PRIVATE_VISIBILITY,
        deps = [":" + name] + _private(layers),
        **kwargs
    )

def breaker_umbrella(name, layers):
    """Several layers under one name."""
    cc_library(
        name = name,
        deps = [":" + layer for layer in layers],
    )
    cc_library(
        name = name + "_private",
        visibility = _PRIVATE_VISIBILITY,
        deps = _private(layers),
    )
