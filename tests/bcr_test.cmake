# Fails unless the templates in .bcr have the form that Bazel's central registry
# and its publishing app want, and name only what there is.
#
# Usage: cmake -P bcr_test.cmake
cmake_minimum_required(VERSION 3.21)
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH root)

# Adds to `problems` of the caller unless the value is like the pattern.
function(expect what value pattern)
  if(NOT value MATCHES "${pattern}")
    list(APPEND problems "${what}")
    set(problems
        "${problems}"
        PARENT_SCOPE)
  endif()
endfunction()

# The value of a key of a JSON object, or nothing.
macro(get variable json)
  string(
    JSON
    ${variable}
    ERROR_VARIABLE
    error
    GET
    "${json}"
    ${ARGN})
  if(error)
    set(${variable} "")
  endif()
endmacro()

# The keys of a JSON object in the order of the alphabet, or nothing.
function(keys variable json)
  set(names)
  string(
    JSON
    length ERROR_VARIABLE error
    LENGTH "${json}")
  foreach(i RANGE 9)
    if(NOT error AND i LESS length)
      string(JSON name MEMBER "${json}" ${i})
      string(APPEND names "${name} ")
    endif()
  endforeach()
  set(${variable}
      "${names}"
      PARENT_SCOPE)
endfunction()

# How often a pattern is in a text.
function(count variable text pattern)
  string(REGEX MATCHALL "${pattern}" matches "${text}")
  list(LENGTH matches length)
  set(${variable}
      ${length}
      PARENT_SCOPE)
endfunction()

# What is wrong with the texts of the three templates.
function(find_problems variable metadata source presubmit)
  set(problems)

  # The app fills the versions.
  keys(names "${metadata}")
  expect("metadata: keys" "${names}"
         "^homepage maintainers repository versions yanked_versions $")
  get(repository "${metadata}" repository 0)
  expect("metadata: repository" "${repository}"
         "^github:[-A-Za-z0-9]+/[-_.A-Za-z0-9]+$")
  get(homepage "${metadata}" homepage)
  string(REPLACE "github:" "https://github.com/" repository "${repository}")
  expect("metadata: homepage" "${homepage}" "^${repository}$")
  get(github "${metadata}" maintainers 0 github)
  expect("metadata: maintainers" "${github}" "^[-a-zA-Z0-9]+$")
  get(versions "${metadata}" versions)
  get(yanked "${metadata}" yanked_versions)
  expect("metadata: versions" "${versions}${yanked}" "^\\[ *\\]{ *}$")

  # The app fills the names in braces, and the integrity.
  keys(names "${source}")
  expect("source: keys" "${names}" "^integrity strip_prefix url $")
  get(integrity "${source}" integrity)
  expect("source: integrity" "${integrity}" "^$")
  get(prefix "${source}" strip_prefix)
  expect("source: strip_prefix" "${prefix}" "^{REPO}-{VERSION}$")
  get(url "${source}" url)
  expect("source: url" "${url}"
         "^https://github.com/{OWNER}/{REPO}/.*{TAG}\\.tar\\.gz$")

  # Tasks of this module, and of one that depends on it.
  set(matrix
      "matrix:\n +platform: \\[[^\n]+]\n +bazel: \\[(\"[0-9]+.x\"(, )?)+]\n")
  set(task
      " name: [^\n]+\n +platform: \\\${{ platform }}\n +bazel: \\\${{ bazel }}\n"
  )
  expect("presubmit: sections" "${presubmit}"
         "^matrix:.*\ntasks:.*\nbcr_test_module:.*\n  matrix:.*\n  tasks:")
  count(matrices "${presubmit}" "${matrix}")
  count(tasks "${presubmit}" "${task}")
  count(names "${presubmit}" " name:")
  expect("presubmit: matrices" ${matrices} "^2$")
  expect("presubmit: tasks" ${tasks} "^${names}$")
  string(REGEX MATCH "module_path: \"([^\"]+)\"" match "${presubmit}")
  if(NOT EXISTS "${root}/${CMAKE_MATCH_1}/MODULE.bazel")
    list(APPEND problems "presubmit: module_path")
  endif()
  # What it names: the options of .bazelrc, and libraries.
  file(READ "${root}/.bazelrc" bazelrc)
  file(READ "${root}/interceptor/BUILD.bazel" build)
  string(REGEX MATCHALL "- \"(--|@)[^\"]+\"" words "${presubmit}")
  foreach(word IN LISTS words)
    string(REGEX REPLACE "- \"(.*)\"" "\\1" word "${word}")
    string(REGEX REPLACE "^@grpc_breaker//(.*[:/])?" "" name "${word}")
    string(FIND "${bazelrc}${build}" "build ${word}\n" flag)
    string(FIND "${build}" "name = \"${name}\"" target)
    expect("presubmit: ${word}" "${flag} ${target}" "(^| )[0-9]")
  endforeach()

  set(${variable}
      "${problems}"
      PARENT_SCOPE)
endfunction()

file(READ "${root}/.bcr/metadata.template.json" metadata)
file(READ "${root}/.bcr/source.template.json" source)
file(READ "${root}/.bcr/presubmit.yml" presubmit)
find_problems(problems "${metadata}" "${source}" "${presubmit}")
if(problems)
  list(JOIN problems "\n  " problems)
  message(FATAL_ERROR "In .bcr:\n  ${problems}")
endif()

# The check itself sees what is planted: in which text what is replaced by what.
function(expect_problem name from to problem)
  string(REPLACE "${from}" "${to}" ${name} "${${name}}")
  find_problems(problems "${metadata}" "${source}" "${presubmit}")
  if(NOT problem IN_LIST problems)
    message(SEND_ERROR "Not seen in ${name}: ${to}")
  endif()
endfunction()

expect_problem(metadata "}" "" "metadata: keys")
expect_problem(metadata "\"versions\"" "\"version\"" "metadata: keys")
expect_problem(metadata "[]" "[\"1.0.0\"]" "metadata: versions")
expect_problem(metadata "github:" "" "metadata: repository")
expect_problem(metadata "github.com" "example.com" "metadata: homepage")
expect_problem(metadata "\"github\"" "\"login\"" "metadata: maintainers")
expect_problem(source "{VERSION}" "1.0.0" "source: strip_prefix")
expect_problem(source "{TAG}" "v1.0.0" "source: url")
expect_problem(presubmit "7.x" "7.7.1" "presubmit: matrices")
expect_problem(presubmit "\n    bazel:" "\n    bazels:" "presubmit: tasks")
expect_problem(presubmit "_consumer" "" "presubmit: module_path")
expect_problem(presubmit "--cxxopt=-std=c++17" "--cxxopt=-std=c++14"
               "presubmit: --cxxopt=-std=c++14")
expect_problem(presubmit "admin_server" "server"
               "presubmit: @grpc_breaker//interceptor:server")
