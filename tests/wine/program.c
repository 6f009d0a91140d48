/* What tests/wine/run runs under pintle-wine-run: `exit N`, `echo ARGUMENT` with its input, `hang` with a child that hangs too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static void hang(const char *self, int with_child) {
    char path[MAX_PATH], line[MAX_PATH + 16];
    STARTUPINFOA startup = {.cb = sizeof startup};
    PROCESS_INFORMATION child;
    (void)self;
    GetModuleFileNameA(NULL, path, sizeof path);
    snprintf(line, sizeof line, "\"%s\" alone", path);
    if (with_child && !CreateProcessA(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &startup, &child)) exit(1);
    puts("hanging");
    fflush(stdout);
    Sleep(INFINITE);
}

int main(int argc, char **argv) {
    char text[64] = "";
    if (argc < 2) return 99;
    if (strcmp(argv[1], "exit") == 0) return atoi(argv[2]);
    if (strcmp(argv[1], "echo") == 0) {
        if (fgets(text, sizeof text, stdin) == NULL) return 1;
        printf("[%s] [%s]\n", argv[2], text);
    } else {
        hang(argv[0], strcmp(argv[1], "hang") == 0);
    }
    return 0;
}
