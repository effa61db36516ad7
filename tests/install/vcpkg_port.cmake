# Runs the portfile of packaging/vcpkg where there is no vcpkg. What it calls is
# stood in for by what vcpkg's functions do of a static release on Linux, with
# this checkout for the archive and the machine's packages for vcpkg's.
#
# Usage: cmake -D CHECKOUT=... -D BUILD=... -D CURRENT_PACKAGES_DIR=... -P
# vcpkg_port.cmake

cmake_minimum_required(VERSION 3.21)
set(CMAKE_INSTALL_MESSAGE NEVER)
set(PORT grpc-breaker)
set(FEATURES core dashboard prometheus tools)
set(port_directory ${CHECKOUT}/packaging/vcpkg/ports/${PORT})
file(READ ${port_directory}/vcpkg.json manifest)
string(JSON VERSION GET "${manifest}" version-semver)

function(run)
  execute_process(COMMAND ${ARGN} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endfunction()

macro(parse options one_value multi_value)
  cmake_parse_arguments(ARG "${options}" "${one_value}" "${multi_value}"
                        ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown to vcpkg: ${ARG_UNPARSED_ARGUMENTS}")
  endif()
endmacro()

function(vcpkg_from_github)
  parse("" "OUT_SOURCE_PATH;REPO;REF;SHA512;HEAD_REF" "" ${ARGN})
  set(${ARG_OUT_SOURCE_PATH}
      ${CHECKOUT}
      PARENT_SCOPE)
endfunction()

function(vcpkg_check_features)
  parse("" OUT_FEATURE_OPTIONS FEATURES ${ARGN})
  set(options "")
  while(ARG_FEATURES)
    list(POP_FRONT ARG_FEATURES feature option)
    if(feature IN_LIST FEATURES)
      list(APPEND options -D${option}=ON)
    else()
      list(APPEND options -D${option}=OFF)
    endif()
  endwhile()
  set(${ARG_OUT_FEATURE_OPTIONS}
      ${options}
      PARENT_SCOPE)
endfunction()

# With our warnings after all: the objects are those of the other ways.
function(vcpkg_cmake_configure)
  parse("" SOURCE_PATH OPTIONS ${ARGN})
  run(${CMAKE_COMMAND}
      -S
      ${ARG_SOURCE_PATH}
      -B
      ${BUILD}
      -G
      Ninja
      -DCMAKE_BUILD_TYPE=Release
      -DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}
      -DBUILD_SHARED_LIBS=OFF
      ${ARG_OPTIONS}
      -DGRPC_BREAKER_WERROR=ON)
endfunction()

function(vcpkg_cmake_install)
  run(${CMAKE_COMMAND} --build ${BUILD})
  run(${CMAKE_COMMAND} --install ${BUILD})
endfunction()

# The package moves, and finds its prefix one folder nearer.
function(vcpkg_cmake_config_fixup)
  parse("" "PACKAGE_NAME;CONFIG_PATH" "" ${ARGN})
  set(source ${CURRENT_PACKAGES_DIR}/${ARG_CONFIG_PATH})
  set(target ${CURRENT_PACKAGES_DIR}/share/${ARG_PACKAGE_NAME})
  # There may be other files.
  file(GLOB files ${source}/*)
  file(COPY ${files} DESTINATION ${target})
  file(REMOVE_RECURSE ${source})
  set(up [[get_filename_component(_IMPORT_PREFIX "${_IMPORT_PREFIX}" PATH)]])
  file(GLOB files ${target}/*.cmake)
  foreach(file IN LISTS files)
    file(READ ${file} text)
    string(REPLACE "${up}\n${up}\n${up}" "${up}\n${up}" text "${text}")
    string(REPLACE "/../../../" "/../../" text "${text}")
    file(WRITE ${file} "${text}")
  endforeach()
endfunction()

# Ours are relative already.
function(vcpkg_fixup_pkgconfig)
  parse("" "" "" ${ARGN})
endfunction()

function(vcpkg_copy_tools)
  parse(AUTO_CLEAN "" TOOL_NAMES ${ARGN})
  foreach(tool IN LISTS ARG_TOOL_NAMES)
    file(
      INSTALL ${CURRENT_PACKAGES_DIR}/bin/${tool}
      DESTINATION ${CURRENT_PACKAGES_DIR}/tools/${PORT}
      USE_SOURCE_PERMISSIONS)
  endforeach()
  file(REMOVE_RECURSE ${CURRENT_PACKAGES_DIR}/bin)
endfunction()

function(vcpkg_install_copyright)
  parse("" "" FILE_LIST ${ARGN})
  file(
    INSTALL ${ARG_FILE_LIST}
    DESTINATION ${CURRENT_PACKAGES_DIR}/share/${PORT}
    RENAME copyright)
endfunction()

include(${port_directory}/portfile.cmake)
