# cmake -DFILE=program.exe -DOBJDUMP=… -P check-imports.cmake: fails if the Windows program or DLL needs a DLL that is
# not the system's (libgcc's, winpthread's), which would have to be shipped with it.
execute_process(COMMAND ${OBJDUMP} -p ${FILE} OUTPUT_VARIABLE headers COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "DLL Name: [^\r\n]+" imports "${headers}")
if(NOT imports)
    message(FATAL_ERROR "${FILE} imports nothing, not even kernel32.dll: ${OBJDUMP} did not read it.")
endif()
list(TRANSFORM imports REPLACE "DLL Name: " "")
message("${FILE} imports ${imports}")
# The program itself may import pintle.dll.
list(FILTER imports EXCLUDE REGEX
    "^(KERNEL32|ntdll|msvcrt|ucrtbase|ADVAPI32|SHELL32|USER32|pintle|api-ms-win-[a-z0-9-]+)\\.(dll|DLL)$")
if(imports)
    message(FATAL_ERROR "these are not the system's: ${imports}")
endif()
