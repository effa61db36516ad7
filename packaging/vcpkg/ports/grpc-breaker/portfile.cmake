# cmake-format: off
# (In the style of vcpkg's ports.)

vcpkg_from_github(
    OUT_SOURCE_PATH SOURCE_PATH
    REPO grpc-breaker/grpc_breaker
    REF "v${VERSION}"
    SHA512 0  # Of no archive yet: a release puts in what vcpkg says it is.
    HEAD_REF main
)

vcpkg_check_features(OUT_FEATURE_OPTIONS FEATURE_OPTIONS
    FEATURES
        dashboard GRPC_BREAKER_DASHBOARD
        prometheus GRPC_BREAKER_PROMETHEUS
        tools GRPC_BREAKER_BUILD_TOOLS
        tools GRPC_BREAKER_NCURSES
)

vcpkg_cmake_configure(
    SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS
        -DBUILD_TESTING=OFF
        -DGRPC_BREAKER_BUILD_EXAMPLES=OFF
        -DGRPC_BREAKER_JSON=OFF
        -DGRPC_BREAKER_WERROR=OFF
        -DGRPC_BREAKER_YAML=OFF
        ${FEATURE_OPTIONS}
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME grpc_breaker CONFIG_PATH lib/cmake/grpc_breaker)
vcpkg_fixup_pkgconfig()
if("tools" IN_LIST FEATURES)
    vcpkg_copy_tools(TOOL_NAMES breakerctl AUTO_CLEAN)
endif()

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
# cmake-format: on
