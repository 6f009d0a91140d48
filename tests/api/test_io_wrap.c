/* test_io_wrap.c: pintle_io_wrap: sockets that the program made itself: datagrams, a listener. */
#include "api/must.h"

#if defined(_WIN32)
#include <winsock2.h>
#include <ws2tcpip.h>
typedef int socklen_t;
#define CLOSE_SOCKET closesocket
#else
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
typedef int SOCKET;
#define CLOSE_SOCKET close
#endif

static SOCKET make(int type, struct sockaddr_in *out) {
    socklen_t bytes = sizeof *out;
#if defined(_WIN32)
    WSADATA data;
    MUST_BE(WSAStartup(MAKEWORD(2, 2), &data), 0);
#endif
    SOCKET made = socket(AF_INET, type, 0);
    memset(out, 0, sizeof *out);
    out->sin_family = AF_INET;
    out->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST_BE(bind(made, (struct sockaddr *)out, sizeof *out), 0);
    MUST_BE(getsockname(made, (struct sockaddr *)out, &bytes), 0);
    return made;
}
/* Two ends that send datagrams to each other. */
static void datagrams_make(pintle_io **out_a, pintle_io **out_b) {
    struct sockaddr_in of_a, of_b;
    SOCKET a = make(SOCK_DGRAM, &of_a), b = make(SOCK_DGRAM, &of_b);
    MUST_BE(connect(a, (struct sockaddr *)&of_b, sizeof of_b), 0);
    MUST_BE(connect(b, (struct sockaddr *)&of_a, sizeof of_a), 0);
    MUST_BE(pintle_io_wrap(out_a, (intptr_t)a), 0);
    MUST_BE(pintle_io_wrap(out_b, (intptr_t)b), 0);
    MUST_BE(pintle_io_native(*out_a), (intptr_t)a);
}

static int whole_main(void *arg) {
    static const int sizes[] = {1, 500, 1200, 100, 7};
    char data[2000];
    pintle_io *a, *b;
    (void)arg;
    datagrams_make(&a, &b);
    MUST_BE(pintle_io_read(b, data, sizeof data, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(pintle_io_read(b, data, sizeof data, pintle_after(PINTLE_MS(3))), PINTLE_ETIMEDOUT);
    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        memset(data, (int)i, sizeof data);
        MUST_BE(pintle_io_write(a, data, (size_t)sizes[i], PINTLE_FOREVER), sizes[i]);
    }
    for (size_t i = 0; i < ELEMENTS(sizes); i++) { /* each as it was sent; what does not fit is lost with it */
        size_t room = sizes[i] == 100 ? 10 : sizeof data;
        int64_t wanted = sizes[i] == 100 ? 10 : sizes[i];
        MUST_BE(pintle_io_read(b, data, room, i % 2 == 0 ? PINTLE_FOREVER : pintle_after(PINTLE_S(20))), wanted);
        MUST_BE(data[0], i);
        MUST_BE(data[wanted - 1], i);
    }
    MUST_BE(pintle_io_read(b, data, sizeof data, PINTLE_NOWAIT), PINTLE_EAGAIN);
    pintle_io_close(a);
    pintle_io_close(b);
    return 0;
}
CASE(datagrams_arrive_whole) {
    whole_main(NULL); /* a thread that is no task, no runtime */
    must_run(whole_main, NULL);
    ASSERT_ALL_MUST();
}

enum { ROUNDS = 300 };
static void answers(void *arg) {
    uint32_t number;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        MUST_BE(pintle_io_read(arg, &number, sizeof number, PINTLE_FOREVER), sizeof number);
        number++;
        MUST_BE(pintle_io_write(arg, &number, sizeof number, PINTLE_FOREVER), sizeof number);
    }
}
static atomic_uint waiting;
static void reads_until(void *arg, int64_t wanted) {
    char byte;
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_io_read(arg, &byte, 1, PINTLE_FOREVER), wanted);
}
static void reads_until_canceled(void *arg) { reads_until(arg, PINTLE_ECANCELED); }
static void reads_until_closed(void *arg) { reads_until(arg, PINTLE_ECLOSED); }
static int ask_main(void *arg) {
    uint32_t number = 0;
    pintle_io *a, *b;
    pintle_task *task;
    (void)arg;
    datagrams_make(&a, &b);
    MUST_BE(pintle_spawn(&task, answers, b), 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        MUST_BE(pintle_io_write(a, &number, sizeof number, PINTLE_FOREVER), sizeof number);
        MUST_BE(pintle_io_read(a, &number, sizeof number, PINTLE_FOREVER), sizeof number);
        MUST_BE(number, i + 1);
    }
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    waiting = 0;
    MUST_BE(pintle_spawn(&task, reads_until_canceled, a), 0);
    must_yield_until(&waiting, 1);
    pintle_task_cancel(task);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    MUST_BE(pintle_spawn(&task, reads_until_closed, a), 0);
    must_yield_until(&waiting, 2);
    pintle_io_close(a);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    pintle_io_close(b);
    return 0;
}
CASE(datagrams_are_answered_and_their_waits_ended) {
    must_run_strict(ask_main, NULL);
    must_run(ask_main, NULL);
    ASSERT_ALL_MUST();
}

static int listener_main(void *arg) {
    struct sockaddr_in of_listener;
    SOCKET made = make(SOCK_STREAM, &of_listener);
    char address[PINTLE_IO_ADDRESS_BYTES], byte = 0;
    pintle_io *listener, *a = NULL, *b = NULL;
    (void)arg;
    MUST_BE(listen(made, 5), 0);
    MUST_BE(pintle_io_wrap(&listener, (intptr_t)made), 0);
    MUST_BE(pintle_io_address(listener, address, sizeof address), 0);
    MUST_BE(pintle_io_accept(listener, &a, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(pintle_io_connect(&a, address, PINTLE_FOREVER), 0);
    MUST_BE(pintle_io_accept(listener, &b, PINTLE_FOREVER), 0);
    MUST_BE(pintle_io_write(b, "q", 1, PINTLE_FOREVER), 1);
    MUST_BE(pintle_io_read(a, &byte, 1, PINTLE_FOREVER), 1);
    MUST_BE(byte, 'q');
    pintle_io_close(a);
    pintle_io_close(b);
    pintle_io_close(listener);
    return 0;
}
CASE(listener_of_the_programs_own_accepts) {
    must_run(listener_main, NULL);
    ASSERT_ALL_MUST();
}
