/* thunks.S (System V, x86-64): the entries of the table: each loads its number and goes on in callback.S. */
#include "../../layout.h"

    .text
    .globl  thunk_entries
    .hidden thunk_entries
    .type   thunk_entries, @function
    .p2align 6
thunk_entries:
    .cfi_startproc
    .set    number, 0
    .rept   THUNKS_MOST
    movl    $number, %eax
    jmp     thunk_common
    .p2align 4
    .set    number, number + 1
    .endr
    .cfi_endproc
    .size   thunk_entries, . - thunk_entries

    .section .note.GNU-stack, "", @progbits
