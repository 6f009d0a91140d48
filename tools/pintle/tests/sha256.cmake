# Writes a list of files as sha256sum does: cmake -DFILES=… -DLIST=… -P sha256.cmake
set(text)
foreach(file IN LISTS FILES)
    file(SHA256 ${file} hash)
    cmake_path(GET file FILENAME name)
    string(APPEND text "${hash}  ${name}\n")
endforeach()
file(WRITE ${LIST} "${text}")
