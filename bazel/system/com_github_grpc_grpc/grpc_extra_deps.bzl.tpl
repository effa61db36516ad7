"""Nothing more is needed on top of the installed packages."""

def grpc_extra_deps():
    pass
