/* thunks.S (Windows, x86-64): the entries of the table: each loads its number and goes on in callback.S. They are leaves,
 * which need no unwind data. */
#include "../../layout.h"

    .text
    .globl  thunk_entries
    .p2align 6
thunk_entries:
    .set    number, 0
    .rept   THUNKS_MOST
    movl    $number, %eax
    jmp     thunk_common
    .p2align 4
    .set    number, number + 1
    .endr
