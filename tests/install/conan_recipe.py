"""Runs the recipe of packaging/conan where there is no Conan.

What it imports is stood in for by what Conan does of a static release on Linux,
with the machine's packages for Conan's: what is exported is configured, and the
checkout is built, in BUILD. The program of test_package says what it has to say.

Usage: conan_recipe.py CHECKOUT BUILD SCRATCH
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import types


class ConanFile:
    def __init__(self, folder, scratch):
        self.recipe_folder = str(folder)
        self.source_folder = str(folder)
        self.build_folder = str(scratch / "build")
        self.package_folder = str(scratch / "package")
        self.folders = types.SimpleNamespace()
        self.settings = types.SimpleNamespace(os="Linux")
        self.cpp = types.SimpleNamespace(build=types.SimpleNamespace(bindir="."))
        self.cpp_info = types.SimpleNamespace(set_property=lambda name, value: None)
        self.variables = {}

    def requires(self, reference, transitive_headers=False, transitive_libs=False):
        assert re.fullmatch(r"[a-z_]+/\S.*", reference), reference

    tool_requires = requires

    def run(self, command, env):
        subprocess.run(command, shell=True, check=True, cwd=self.build_folder)


class CMakeToolchain:
    def __init__(self, conanfile):
        self.cache_variables = conanfile.variables

    def generate(self):
        pass


class CMake:
    def __init__(self, conanfile):
        self.conanfile = conanfile

    def _run(self, *arguments):
        subprocess.run(["cmake", *arguments], check=True, stdout=subprocess.DEVNULL)

    def configure(self):
        variables = {
            "CMAKE_BUILD_TYPE": "Release",
            "CMAKE_INSTALL_PREFIX": self.conanfile.package_folder,
            **self.conanfile.variables,
            # After all: the objects are those of the other ways.
            "GRPC_BREAKER_WERROR": True,
        }
        self._run("--no-warn-unused-cli", "-G", "Ninja",
                  "-S", self.conanfile.source_folder, "-B", self.conanfile.build_folder,
                  *(f"-D{name}={value}" for name, value in variables.items()))

    def build(self):
        self._run("--build", self.conanfile.build_folder)

    def install(self):
        self._run("--install", self.conanfile.build_folder)


def copy(conanfile, pattern, src, dst):
    """Of a file, or of all in a folder: "folder/*"."""
    name = pattern.removesuffix("/*")
    source, target = os.path.join(src, name), os.path.join(dst, name)
    if name != pattern:
        shutil.copytree(source, target)
    else:
        os.makedirs(dst, exist_ok=True)
        shutil.copy(source, target)


def stand_in(name, **members):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)


stand_in("conan", ConanFile=ConanFile)
stand_in("conan.errors", ConanInvalidConfiguration=Exception)
stand_in("conan.tools")
stand_in("conan.tools.build", can_run=lambda conanfile: True,
         check_min_cppstd=lambda conanfile, standard: None)
stand_in("conan.tools.cmake", CMake=CMake, CMakeDeps=CMakeToolchain,
         CMakeToolchain=CMakeToolchain, cmake_layout=lambda conanfile: None)
stand_in("conan.tools.files", copy=copy, load=lambda conanfile, path: pathlib.Path(path).read_text())


def recipe(folder, scratch):
    members = {}
    path = folder / "conanfile.py"
    exec(compile(path.read_text(), path, "exec"), members)
    classes = [value for value in members.values()
               if isinstance(value, type) and issubclass(value, ConanFile) and value != ConanFile]
    return classes[0](folder, scratch)


def main(checkout, build, scratch):
    shutil.rmtree(scratch, ignore_errors=True)
    library = recipe(checkout / "packaging/conan", scratch)
    library.set_version()
    library.export_sources_folder = str(scratch / "exported")
    library.export_sources()
    library.layout()
    library.requirements()
    library.build_requirements()
    library.validate()
    library.generate()
    library.source_folder = library.export_sources_folder
    CMake(library).configure()
    library.source_folder, library.build_folder = str(checkout), str(build)
    library.build()
    library.package()
    library.package_info()

    test = recipe(checkout / "packaging/conan/test_package", scratch / "test_package")
    test.tested_reference_str = f"{library.name}/{library.version}"
    test.requirements()
    test.layout()
    # As CMakeToolchain does.
    test.variables["CMAKE_PREFIX_PATH"] = ";".join(
        os.path.join(library.package_folder, directory) for directory in library.cpp_info.builddirs)
    test.build()
    test.test()


# Absolute, but as given: what they link to has other names for the compiler.
main(*(pathlib.Path(argument).absolute() for argument in sys.argv[1:]))
