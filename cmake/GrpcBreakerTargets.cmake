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

# _grpc_breaker_publish(<name> [<export>]): names, versions and installs the
# library grpc_breaker_<name> as grpc_breaker::<name>. With <export> it is in a
# part of the CMake package that has to be asked for.
function(_grpc_breaker_publish name)
  set(export ${ARGN})
  if(NOT export)
    set(export grpc_breaker)
  endif()
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
    install(TARGETS grpc_breaker_${name} EXPORT ${export})
  endif()
endfunction()

# grpc_breaker_layer(<folder> [TARGET <name>] [EXPORT <export>] [SOURCES ...]
# HEADERS ... [LAYERS ...] LIBRARIES ...): the layer that is the folder of that
# name, as the library grpc_breaker::<name>, which is <folder> unless TARGET
# says otherwise. EXPORT is as for _grpc_breaker_publish.
#
# HEADERS are its public ones, and LAYERS are the libraries below it that it
# includes headers of; its sources are all of the folder. A layer is compiled
# with its own headers and those of the layers below in sight, and no others:
# what its folder does not offer cannot be included.
function(grpc_breaker_layer folder)
  cmake_parse_arguments(ARG "" "TARGET;EXPORT"
                        "SOURCES;HEADERS;LAYERS;LIBRARIES" ${ARGN})
  set(name ${folder})
  if(ARG_TARGET)
    set(name ${ARG_TARGET})
  endif()
  set(target grpc_breaker_${name})
  if(NOT ARG_SOURCES)
    file(
      GLOB ARG_SOURCES CONFIGURE_DEPENDS
      RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
      grpc_breaker/${folder}/*.cc)
  endif()
  add_library(${target} ${ARG_SOURCES})
  grpc_breaker_compile_options(${target})

  # Links to the headers, in folders of their own: all that -I shows.
  set(view ${PROJECT_BINARY_DIR}/layers/${name})
  foreach(header IN LISTS ARG_HEADERS)
    get_filename_component(directory ${header} DIRECTORY)
    file(MAKE_DIRECTORY ${view}/public/grpc_breaker/${directory})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/grpc_breaker/${header}
         ${view}/public/grpc_breaker/${header} SYMBOLIC)
    if(GRPC_BREAKER_INSTALL)
      install(FILES grpc_breaker/${header}
              DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/grpc_breaker/${directory})
    endif()
  endforeach()
  file(GLOB private_headers CONFIGURE_DEPENDS grpc_breaker/${folder}/*.h)
  foreach(header IN LISTS private_headers)
    get_filename_component(header ${header} NAME)
    list(APPEND ARG_HEADERS ${folder}/${header})
  endforeach()
  # For the test that asks what can be included.
  list(REMOVE_DUPLICATES ARG_HEADERS)
  list(TRANSFORM ARG_HEADERS PREPEND "${folder} grpc_breaker/")
  set_property(GLOBAL APPEND PROPERTY GRPC_BREAKER_HEADERS ${ARG_HEADERS})
  set_property(GLOBAL APPEND PROPERTY GRPC_BREAKER_LAYERS "${folder} ${name}")

  file(MAKE_DIRECTORY ${view}/private/grpc_breaker)
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/grpc_breaker/${folder}
       ${view}/private/grpc_breaker/${folder} SYMBOLIC)
  target_include_directories(
    ${target} PUBLIC $<BUILD_INTERFACE:${view}/public>
                     $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

  set(private ${view}/private)
  foreach(layer IN LISTS ARG_LAYERS)
    target_link_libraries(${target} PUBLIC grpc_breaker::${layer})
    get_target_property(below grpc_breaker_${layer} GRPC_BREAKER_PRIVATE)
    list(APPEND private ${below})
  endforeach()
  list(REMOVE_DUPLICATES private)
  target_include_directories(${target} PRIVATE ${private})
  set_target_properties(${target} PROPERTIES GRPC_BREAKER_PRIVATE "${private}")
  target_link_libraries(${target} PUBLIC ${ARG_LIBRARIES})
  # What another library forgot to export is missed here, not by the users.
  target_link_options(${target} PRIVATE
                      $<$<BOOL:${BUILD_SHARED_LIBS}>:LINKER:-z,defs>)
  _grpc_breaker_publish(${name} ${ARG_EXPORT})
endfunction()

# grpc_breaker_umbrella(<name> <library>...): several of ours under one name.
function(grpc_breaker_umbrella name)
  add_library(grpc_breaker_${name} INTERFACE)
  list(TRANSFORM ARGN PREPEND grpc_breaker:: OUTPUT_VARIABLE libraries)
  target_link_libraries(grpc_breaker_${name} INTERFACE ${libraries})
  set(private "")
  foreach(library IN LISTS ARGN)
    get_target_property(below grpc_breaker_${library} GRPC_BREAKER_PRIVATE)
    if(below)
      list(APPEND private ${below})
    endif()
  endforeach()
  set_target_properties(grpc_breaker_${name} PROPERTIES GRPC_BREAKER_PRIVATE
                                                        "${private}")
  _grpc_breaker_publish(${name})
endfunction()

# Lets a test or a tool of ours include the private headers of these layers, and
# of those below them.
function(grpc_breaker_see_private_headers target)
  foreach(library IN LISTS ARGN)
    if(library MATCHES "^grpc_breaker::(.*)")
      get_target_property(private grpc_breaker_${CMAKE_MATCH_1}
                          GRPC_BREAKER_PRIVATE)
      if(private)
        target_include_directories(${target} PRIVATE ${private})
      endif()
    endif()
  endforeach()
endfunction()

# Generates C++ from PROTOS (relative to the current directory, which is the
# import root) with messages and gRPC services, and compiles it into `target`.
# The generated files go to OUTPUT, or else to the current binary directory.
function(grpc_breaker_generate target)
  cmake_parse_arguments(ARG "" "OUTPUT" "PROTOS" ${ARGN})
  if(NOT ARG_OUTPUT)
    set(ARG_OUTPUT ${CMAKE_CURRENT_BINARY_DIR})
  endif()
  file(MAKE_DIRECTORY ${ARG_OUTPUT})
  # Generated code has no export macro and is not clean under our warnings.
  add_library(${target})
  target_compile_features(${target} PUBLIC cxx_std_17)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  foreach(proto IN LISTS ARG_PROTOS)
    string(REGEX REPLACE "\\.proto$" "" stem ${ARG_OUTPUT}/${proto})
    set(generated ${stem}.pb.cc ${stem}.pb.h ${stem}.grpc.pb.cc
                  ${stem}.grpc.pb.h)
    add_custom_command(
      OUTPUT ${generated}
      COMMAND
        protobuf::protoc --proto_path=${CMAKE_CURRENT_SOURCE_DIR}
        --cpp_out=${ARG_OUTPUT} --grpc_out=${ARG_OUTPUT}
        --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin> ${proto}
      WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
      DEPENDS ${proto} protobuf::protoc gRPC::grpc_cpp_plugin
      COMMENT "Generating C++ from ${proto}"
      VERBATIM)
    target_sources(${target} PRIVATE ${generated})
  endforeach()
  target_include_directories(
    ${target} SYSTEM PUBLIC $<BUILD_INTERFACE:${ARG_OUTPUT}>
                            $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PUBLIC gRPC::grpc++ protobuf::libprotobuf)
endfunction()

# grpc_breaker_proto_library(<name> PROTOS ... [DEPENDS <name>...]): generated
# code that is part of the library, as grpc_breaker::<name>.
function(grpc_breaker_proto_library name)
  cmake_parse_arguments(ARG "" "" "PROTOS;DEPENDS" ${ARGN})
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${name})
  grpc_breaker_generate(grpc_breaker_${name} PROTOS ${ARG_PROTOS} OUTPUT
                                                    ${output})
  list(TRANSFORM ARG_DEPENDS PREPEND grpc_breaker::)
  target_link_libraries(grpc_breaker_${name} PUBLIC ${ARG_DEPENDS})
  _grpc_breaker_publish(${name})
  if(NOT GRPC_BREAKER_INSTALL)
    return()
  endif()
  foreach(proto IN LISTS ARG_PROTOS)
    get_filename_component(directory ${proto} DIRECTORY)
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    install(FILES ${CMAKE_CURRENT_SOURCE_DIR}/${proto} ${output}/${stem}.pb.h
                  ${output}/${stem}.grpc.pb.h
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/${directory})
  endforeach()
endfunction()

# A program of a ThreadSanitizer build, which does not see into Abseil and gRPC.
function(grpc_breaker_tell_tsan target)
  if(BUILD_TESTING AND CMAKE_CXX_FLAGS MATCHES "-fsanitize=thread")
    target_link_libraries(${target} PRIVATE grpc_breaker_tsan)
  endif()
endfunction()

# grpc_breaker_test(<name> SOURCES ... DEPENDS ...): one test program. One that
# depends on nothing with gRPC in it gets the label "core" and runs under
# ThreadSanitizer as well.
function(grpc_breaker_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  set(beyond_core ${ARG_DEPENDS})
  list(
    FILTER
    beyond_core
    EXCLUDE
    REGEX
    "^(grpc_breaker::(core|testing|base|status|breaker|retry|stats)|absl::.*|Threads::Threads)$"
  )
  if(GRPC_BREAKER_CORE_ONLY AND beyond_core)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  grpc_breaker_compile_options(${name})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} GTest::gmock
                                        GTest::gtest_main)
  grpc_breaker_see_private_headers(${name} ${ARG_DEPENDS})
  grpc_breaker_tell_tsan(${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120)
  if(beyond_core)
    grpc_breaker_compile_quickly(${name})
  else()
    set_tests_properties(${name} PROPERTIES LABELS core)
    if(NOT TARGET core_tests)
      add_custom_target(core_tests)
    endif()
    add_dependencies(core_tests ${name})
  endif()
endfunction()
