import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

required_conan_version = ">=2.0"


class GrpcBreakerConan(ConanFile):
    name = "grpc_breaker"
    description = "Circuit breaking and retries for gRPC C++ channels"
    license = "Apache-2.0"
    url = "https://github.com/grpc-breaker/grpc_breaker"
    homepage = url
    topics = ("grpc", "circuit-breaker", "retry", "resilience")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False]}
    default_options = {"shared": False, "fPIC": True}
    implements = ["auto_shared_fpic"]

    def _checkout(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        project = load(self, os.path.join(self._checkout(), "CMakeLists.txt"))
        self.version = re.search(r"^ +VERSION ([0-9.]+)$", project, re.M)[1]

    def export_sources(self):
        for pattern in (
            "CMakeLists.txt", "LICENSE", "cmake/*", "interceptor/*", "packaging/debian/*", "proto/*"
        ):
            copy(self, pattern, self._checkout(), self.export_sources_folder)

    def layout(self):
        self.folders.root = os.path.join("..", "..")
        cmake_layout(self)

    def requirements(self):
        # gRPC first, which says the versions of the others.
        for requirement in "grpc/[>=1.51 <2]", "protobuf/[>=3.21]", "abseil/[>=20220623]":
            self.requires(requirement, transitive_headers=True, transitive_libs=True)

    def build_requirements(self):
        self.tool_requires("grpc/<host_version>")
        self.tool_requires("protobuf/<host_version>")

    def validate(self):
        check_min_cppstd(self, 17)
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("grpc_breaker was not tried but on Linux")

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["BUILD_TESTING"] = False
        # Of files, those in text format are read: the others need more packages.
        for part in (
            "BUILD_EXAMPLES", "BUILD_TOOLS", "DASHBOARD", "JSON", "PROMETHEUS", "WERROR", "YAML"
        ):
            toolchain.cache_variables[f"GRPC_BREAKER_{part}"] = False
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        # The installed CMake package is the one to find, with all its targets.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("lib", "cmake", "grpc_breaker")]
