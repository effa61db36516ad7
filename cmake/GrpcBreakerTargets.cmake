# How this project declares its libraries, generated code and tests.

# What every target of ours is compiled with. Nothing of it but the language
# level reaches those who link to us.
function(grpc_breaker_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_17)
  set_target_properties(
    ${target}
    PROPERTIES CXX_EXTENSIONS OFF
               POSITION_INDEPENDENT_CODE ON
               VISIBILITY_INLINES_HIDDEN ON)
  # Tests reach into the libraries, so with them shared ones hide nothing.
  if(NOT BUILD_SHARED_LIBS OR NOT BUILD_TESTING)
    set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET hidden)
  endif()
  target_compile_options(
    ${target} PRIVATE -Wall -Wextra $<$<BOOL:${GRPC_BREAKER_WERROR}>:-Werror>)
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    target_compile_options(${target} PRIVATE -Wthread-safety)
  endif()
endfunction()

# For what runs once after it was compiled: gRPC's headers instantiate so much
# that an optimiser works on it for longer than all of the tests run.
function(grpc_breaker_compile_quickly target)
  target_compile_options(${target} PRIVATE -O0 -g1)
endfunction()

# Names, versions and installs the library grpc_breaker_<name> as
# grpc_breaker::<name>.
function(_grpc_breaker_publish name)
  add_library(grpc_breaker::${name} ALIAS grpc_breaker_${name})
  # Before 1.0 every minor version may break the binary interface.
  set_target_properties(
    grpc_breaker_${name}
    PROPERTIES EXPORT_NAME ${name}
               # The libraries find one another wherever they are installed.
               INSTALL_RPATH $ORIGIN
               VERSION ${PROJECT_VERSION}
               SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
               # One object file serves a static and a shared library.
               DEFINE_SYMBOL "")
  if(GRPC_BREAKER_INSTALL)
    install(TARGETS grpc_breaker_${name} EXPORT grpc_breaker)
  endif()
endfunction()

# grpc_breaker_library(<name> SOURCES ... DEPENDS ...): grpc_breaker::<name>.
function(grpc_breaker_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(grpc_breaker_${name} ${ARG_SOURCES})
  grpc_breaker_compile_options(grpc_breaker_${name})
  target_include_directories(
    grpc_breaker_${name}
    PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}>
           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(grpc_breaker_${name} PUBLIC ${ARG_DEPENDS})
  # What another library forgot to export is missed here, not by the users.
  target_link_options(grpc_breaker_${name} PRIVATE
                      $<$<BOOL:${BUILD_SHARED_LIBS}>:LINKER:-z,defs>)
  _grpc_breaker_publish(${name})
endfunction()

# Generates C++ from PROTOS (relative to the current directory, which is the
# import root) with messages and gRPC services, and compiles it into `target`.
function(grpc_breaker_generate target)
  cmake_parse_arguments(ARG "" "" "PROTOS" ${ARGN})
  # Generated code has no export macro and is not clean under our warnings.
  add_library(${target})
  target_compile_features(${target} PUBLIC cxx_std_17)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  foreach(proto IN LISTS ARG_PROTOS)
    string(REGEX REPLACE "\\.proto$" "" stem
                         ${CMAKE_CURRENT_BINARY_DIR}/${proto})
    set(generated ${stem}.pb.cc ${stem}.pb.h ${stem}.grpc.pb.cc
                  ${stem}.grpc.pb.h)
    add_custom_command(
      OUTPUT ${generated}
      COMMAND
        protobuf::protoc --proto_path=${CMAKE_CURRENT_SOURCE_DIR}
        --cpp_out=${CMAKE_CURRENT_BINARY_DIR}
        --grpc_out=${CMAKE_CURRENT_BINARY_DIR}
        --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin> ${proto}
      WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
      DEPENDS ${proto} protobuf::protoc gRPC::grpc_cpp_plugin
      COMMENT "Generating C++ from ${proto}"
      VERBATIM)
    target_sources(${target} PRIVATE ${generated})
  endforeach()
  target_include_directories(
    ${target} SYSTEM PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_BINARY_DIR}>
                            $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PUBLIC gRPC::grpc++ protobuf::libprotobuf)
endfunction()

# grpc_breaker_proto_library(<name> PROTOS ...): generated code that is part of
# the library, as grpc_breaker::<name>.
function(grpc_breaker_proto_library name)
  cmake_parse_arguments(ARG "" "" "PROTOS" ${ARGN})
  grpc_breaker_generate(grpc_breaker_${name} PROTOS ${ARG_PROTOS})
  _grpc_breaker_publish(${name})
  if(NOT GRPC_BREAKER_INSTALL)
    return()
  endif()
  foreach(proto IN LISTS ARG_PROTOS)
    get_filename_component(directory ${proto} DIRECTORY)
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    install(
      FILES ${CMAKE_CURRENT_SOURCE_DIR}/${proto}
            ${CMAKE_CURRENT_BINARY_DIR}/${stem}.pb.h
            ${CMAKE_CURRENT_BINARY_DIR}/${stem}.grpc.pb.h
      DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/${directory})
  endforeach()
endfunction()

# grpc_breaker_test(<name> SOURCES ... DEPENDS ...): one test program. One that
# depends on nothing with gRPC in it gets the label "core" and runs under
# ThreadSanitizer as well.
function(grpc_breaker_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  set(beyond_core ${ARG_DEPENDS})
  list(FILTER beyond_core EXCLUDE REGEX
       "^(grpc_breaker::(core|testing)|absl::.*|Threads::Threads)$")
  if(GRPC_BREAKER_CORE_ONLY AND beyond_core)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  grpc_breaker_compile_options(${name})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} GTest::gmock
                                        GTest::gtest_main)
  if(TARGET grpc_breaker_tsan)
    target_link_libraries(${name} PRIVATE grpc_breaker_tsan)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120)
  if(beyond_core)
    grpc_breaker_compile_quickly(${name})
  else()
    set_tests_properties(${name} PROPERTIES LABELS core)
  endif()
endfunction()
