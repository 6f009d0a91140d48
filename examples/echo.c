/* echo.c: an echo server and its clients, in one program, over the loopback only.
 *
 *     echo [connections] [active] [rounds]       10000 100 1000 unless told
 *
 * Opens the connections and holds them, each after one message there and back; then the first `active` of them send messages of
 * 64 bytes, `rounds` each, one after the other. Prints how many were held and how many messages a second came back. Where one
 * process may not hold both ends (POSIX bounds its descriptors), the server is another. Ends by itself, at the latest after a
 * minute. */
#include <pintle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if !defined(_WIN32)
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

enum { MESSAGE_BYTES = 64, LIMIT_S = 60 };

static char address[PINTLE_IO_ADDRESS_BYTES];
static int64_t give_up;
static unsigned failures;

struct client {
    pintle_io *io;
    unsigned rounds;
};

static void fail(const char *what) {
    pintle_error error;
    pintle_error_get(&error);
    __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
    fprintf(stderr, "echo: %s: %s\n", what, error.text);
}

/* ---- The server ---- */

static void serve(void *io) {
    char data[4096];
    int64_t got;
    while ((got = pintle_io_read(io, data, sizeof data, PINTLE_FOREVER)) > 0) {
        if (pintle_io_write(io, data, (size_t)got, PINTLE_FOREVER) != got) break;
    }
    pintle_io_close(io);
}

static void accept_all(void *listener) {
    pintle_io *io;
    int code;
    while ((code = pintle_io_accept(listener, &io, PINTLE_FOREVER)) == 0) {
        if (pintle_spawn(NULL, serve, io) != 0) {
            fail("spawn");
            pintle_io_close(io);
        }
    }
    if (code != PINTLE_ECLOSED) fail("accept");
}

static int listen_here(pintle_io **out_listener, pintle_task **out_server) {
    if (pintle_io_listen(out_listener, "127.0.0.1:0", 4096) == 0 &&
        pintle_io_address(*out_listener, address, sizeof address) == 0 &&
        pintle_spawn(out_server, accept_all, *out_listener) == 0) {
        return 0;
    }
    fail("listen");
    return 1;
}

static void listen_no_more(pintle_io *listener, pintle_task *server) {
    pintle_io_shutdown(listener);
    pintle_join(server, PINTLE_FOREVER);
    pintle_io_close(listener);
}

/* ---- The clients ---- */

static void send_rounds(void *arg) {
    struct client *client = arg;
    char out[MESSAGE_BYTES], in[MESSAGE_BYTES];
    memset(out, 'x', sizeof out);
    for (unsigned round = 0; round < client->rounds; round++) {
        if (pintle_io_write(client->io, out, sizeof out, give_up) != sizeof out) {
            fail("write");
            return;
        }
        for (size_t got = 0; got < sizeof in;) {
            int64_t some = pintle_io_read(client->io, in + got, sizeof in - got, give_up);
            if (some <= 0) {
                fail("read");
                return;
            }
            got += (size_t)some;
        }
    }
}

static void open_one(void *arg) {
    struct client *client = arg;
    if (pintle_io_connect(&client->io, address, give_up) != 0) {
        fail("connect");
        return;
    }
    send_rounds(client);
}

static void all_at_once(struct client *clients, unsigned count, pintle_fn *fn, pintle_task **tasks) {
    for (unsigned i = 0; i < count; i++) {
        if (pintle_spawn(&tasks[i], fn, &clients[i]) != 0) {
            fail("spawn");
            tasks[i] = NULL;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (tasks[i] != NULL) pintle_join(tasks[i], PINTLE_FOREVER);
    }
}

struct plan {
    unsigned connections, active, rounds;
};

static int app(void *arg) {
    const struct plan *plan = arg;
    struct client *clients = calloc(plan->connections, sizeof *clients);
    pintle_task **tasks = calloc(plan->connections, sizeof *tasks), *server;
    pintle_io *listener = NULL;
    int64_t begin = pintle_now(), opened;
    give_up = pintle_after(PINTLE_S(LIMIT_S));
    if (clients == NULL || tasks == NULL) return 1;
    if (address[0] == '\0' && listen_here(&listener, &server) != 0) return 1;
    for (unsigned i = 0; i < plan->connections; i++) clients[i].rounds = 1;
    for (unsigned i = 0; i < plan->connections; i += 500) { /* not more than the listener's queue takes */
        unsigned count = plan->connections - i < 500 ? plan->connections - i : 500;
        all_at_once(clients + i, count, open_one, tasks);
    }
    opened = pintle_now();
    printf("held     %u connections, opened in %.2f s\n", plan->connections - failures, (double)(opened - begin) / 1e9);
    for (unsigned i = 0; i < plan->active; i++) clients[i].rounds = plan->rounds;
    begin = pintle_now();
    if (failures == 0) all_at_once(clients, plan->active, send_rounds, tasks);
    printf("echoed   %.0f messages a second over %u of them\n",
           (double)plan->active * plan->rounds / ((double)(pintle_now() - begin) / 1e9), plan->active);
    for (unsigned i = 0; i < plan->connections; i++) pintle_io_close(clients[i].io);
    if (listener != NULL) listen_no_more(listener, server);
    free(clients);
    free(tasks);
    return failures == 0 ? 0 : 1;
}

static unsigned number(int argc, char **argv, int at, unsigned otherwise) {
    return argc > at ? (unsigned)strtoul(argv[at], NULL, 10) : otherwise;
}

#if defined(_WIN32)

static int run(struct plan *plan) { return pintle_run(app, plan, NULL); }

#else

/* In a process of its own: tells its address, and serves until the other end of the second pipe is closed. */
static int server_app(void *arg) {
    const int *ends = arg;
    pintle_io *listener, *end;
    pintle_task *server;
    char byte;
    if (listen_here(&listener, &server) != 0 || write(ends[1], address, sizeof address) != sizeof address) return 1;
    if (pintle_io_wrap(&end, ends[2]) != 0) return 1;
    pintle_io_read(end, &byte, 1, pintle_after(PINTLE_S(LIMIT_S)));
    pintle_io_close(end);
    listen_no_more(listener, server);
    return failures == 0 ? 0 : 1;
}

static int run(struct plan *plan) {
    struct rlimit limit;
    int told[2], over[2], ends[3], status = 0, result;
    pid_t server;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur > 2 * (rlim_t)plan->connections + 100) return pintle_run(app, plan, NULL);
    if (pipe(told) != 0 || pipe(over) != 0 || (server = fork()) < 0) {
        perror("echo");
        return 1;
    }
    if (server == 0) {
        close(over[1]);
        ends[1] = told[1];
        ends[2] = over[0];
        return pintle_run(server_app, ends, NULL);
    }
    close(told[1]);
    if (read(told[0], address, sizeof address) != sizeof address) return 1;
    result = pintle_run(app, plan, NULL);
    close(over[1]);
    waitpid(server, &status, 0);
    return result != 0 ? result : status != 0;
}

#endif

int main(int argc, char **argv) {
    struct plan plan = {number(argc, argv, 1, 10000), number(argc, argv, 2, 100), number(argc, argv, 3, 1000)};
    if (plan.connections == 0 || plan.connections > 100000 || plan.active > plan.connections) {
        fprintf(stderr, "usage: echo [connections] [active] [rounds]\n");
        return 2;
    }
    return run(&plan);
}
