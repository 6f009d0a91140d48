# Runs a command and checks what it said:
#
#   cmake -DSTATUS=0 "-DOUT=REGEX;…" "-DERR=REGEX;…" -P check.cmake -- COMMAND [ARGUMENT…]
#
# Each regular expression of OUT must match standard output, each of ERR standard error. With no ERR, nothing may be
# written there.
set(command)
set(in_command FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
    if(in_command)
        list(APPEND command "${CMAKE_ARGV${i}}")
    elseif(CMAKE_ARGV${i} STREQUAL "--")
        set(in_command TRUE)
    endif()
endforeach()

execute_process(COMMAND ${command} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)

set(complaints)
if(NOT status STREQUAL STATUS)
    list(APPEND complaints "The status is ${status}, not ${STATUS}.")
endif()
foreach(regex IN LISTS OUT)
    if(NOT out MATCHES "${regex}")
        list(APPEND complaints "Standard output does not match ${regex}")
    endif()
endforeach()
foreach(regex IN LISTS ERR)
    if(NOT err MATCHES "${regex}")
        list(APPEND complaints "Standard error does not match ${regex}")
    endif()
endforeach()
if(NOT ERR AND NOT err STREQUAL "")
    list(APPEND complaints "There is something on standard error.")
endif()
if(complaints)
    list(JOIN complaints "\n" complaints)
    list(JOIN command " " command)
    message(FATAL_ERROR "${complaints}\n--- ${command}\n--- standard output\n${out}--- standard error\n${err}---")
endif()
