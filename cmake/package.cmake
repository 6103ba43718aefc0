# `make deb`: what is installed, as a package for the Debian or Ubuntu it was built on. cpack finds the libraries it needs;
# libcurl is loaded when it is needed, which a service does for its sample; Python when there is a script.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sardonyx)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Run ONNX models and put them into service")
set(CPACK_PACKAGE_CONTACT "The Sardonyx authors <sardonyx@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libcurl4 | libcurl4t64 | libcurl3-gnutls | libcurl3t64-gnutls")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "python3, podman")
include(CPack)
