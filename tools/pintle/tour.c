/* tour.c: `pintle tour`: half of the tasks sit in calls that block, the other half compress and restore a file by calls
 * into zlib, and one task that should tick every 5 ms tells whether anything held anybody up. */
#include <errno.h>
#include <getopt.h>
#include <stdatomic.h>

#include "command.h"
#include "platform.h"
#include "progress.h"
#include "tour.h"

enum { TASKS_DEFAULT = 1000, TASKS_MOST = 9000, SLEEP_MS = 100 };
static const int64_t TICK_NS = PINTLE_MS(5), STALL_NS_MOST = PINTLE_S(3);
static const uint64_t FILE_BYTES_MOST = 64u << 20, FILE_BYTES_CHOSEN_MOST = 16u << 20;

const char tour_help[] = "Shows what Pintle does. 1,000 tasks cut a file of several MB into as many chunks and\n"
                         "compress and restore them by calls into zlib, a DLL that knows nothing of Pintle. All the\n"
                         "while 1,000 other tasks sit in calls that block. One more task should tick every 5 ms: how\n"
                         "late it was at worst is the longest that anything was held up. Every byte is compared.\n"
                         "\n"
                         "  pintle tour [--zlib NAME] [--file PATH] [--tasks N]\n"
                         "\n"
#if defined(_WIN32)
                         "  --zlib NAME    the zlib to load, by path or bare name (default: zlib1.dll beside this\n"
                         "                 program, else the system's)\n"
#else
                         "  --zlib NAME    the zlib to load, by path or bare name (default: libz.so.1)\n"
#endif
                         "  --file PATH    the file, up to 64 MB (default: the largest of the system's libraries\n"
                         "                 up to 16 MB)\n"
                         "  --tasks N      tasks of each sort (1,000)\n"
                         "  --help         this text\n"
                         "\n"
                         "Exit status: 0 everything was right; 1 something was not; 2 wrong usage.\n";

struct worker {
    struct tour *tour;
    pintle_task *task;
    const unsigned char *data;
    size_t bytes, compressed_bytes;
    bool good;
    pintle_result bound, compress, uncompress;
};

struct blocker {
    struct tour *tour;
    pintle_task *task;
    enum tour_block kind;
    unsigned number; /* of its kind */
    int value;       /* of the wait or the read */
    pintle_result result;
};

struct tour {
    const char *zlib_name;
    char file_path[PATH_BYTES];
    unsigned tasks;
    unsigned char *data;
    size_t bytes;
    struct worker *workers;
    struct blocker *blockers;
    _Atomic unsigned blocked, worked;
    pintle_event all_blocked;
    _Atomic bool sleepers_may_go, ticker_may_go;
    uint64_t ticks;
    int64_t latest_ns; /* the longest that a tick was late */
    uint64_t wall_ns;
    uint32_t most_threads, most_calls_in_flight;
    pintle_stats at_end;
    pintle_result version, failed;
    unsigned wrong; /* how many of all things that were checked */
};

/* ---- The tasks ---- */

static void look_at_stats(struct tour *tour) {
    pintle_stats stats;
    pintle_stats_get(&stats);
    if (stats.threads > tour->most_threads) tour->most_threads = stats.threads;
    if (stats.calls_in_flight > tour->most_calls_in_flight) tour->most_calls_in_flight = stats.calls_in_flight;
}

static void tick(void *arg) {
    struct tour *tour = arg;
    int64_t next_ns = pintle_after(TICK_NS);
    while (!atomic_load(&tour->ticker_may_go)) {
        pintle_sleep_until(next_ns);
        int64_t now_ns = pintle_now(), late_ns = now_ns - next_ns;
        if (late_ns > tour->latest_ns) tour->latest_ns = late_ns;
        tour->ticks++;
        look_at_stats(tour);
        next_ns = late_ns < TICK_NS ? next_ns + TICK_NS : now_ns + TICK_NS;
    }
}

static void block(void *arg) {
    struct blocker *blocker = arg;
    struct tour *tour = blocker->tour;
    if (atomic_fetch_add(&tour->blocked, 1) + 1 == tour->tasks) pintle_event_set(&tour->all_blocked);
    switch (blocker->kind) {
    case TOUR_SLEEP:
        do blocker->result = tour_sleep(SLEEP_MS);
        while (!atomic_load(&tour->sleepers_may_go));
        break;
    case TOUR_WAIT: blocker->result = tour_wait(blocker->number, &blocker->value); break;
    case TOUR_READ:
    case TOUR_BLOCKS: blocker->result = tour_read(&blocker->value); break;
    }
}

/* Compresses the chunk, restores it, compares. */
static bool work_with(struct worker *worker, size_t bound, unsigned char *packed, unsigned char *restored) {
    size_t restored_bytes = worker->bytes;
    worker->compressed_bytes = bound;
    worker->compress = tour_compress(packed, &worker->compressed_bytes, worker->data, worker->bytes);
    worker->uncompress = tour_uncompress(restored, &restored_bytes, packed, worker->compressed_bytes);
    return pintle_result_int(worker->compress) == 0 && pintle_result_int(worker->uncompress) == 0 &&
           restored_bytes == worker->bytes && memcmp(restored, worker->data, worker->bytes) == 0;
}

static void work(void *arg) {
    struct worker *worker = arg;
    worker->bound = tour_compress_bound(worker->bytes);
    size_t bound = (uint32_t)worker->bound.r1;
    unsigned char *packed = malloc(bound), *restored = malloc(worker->bytes + 1);
    worker->good = packed != NULL && restored != NULL && work_with(worker, bound, packed, restored);
    free(packed);
    free(restored);
    atomic_fetch_add(&worker->tour->worked, 1);
}

/* ---- The course of it ---- */

static uint64_t blocked_so_far(void *arg) { return atomic_load(&((struct tour *)arg)->blocked); }
static uint64_t worked_so_far(void *arg) { return atomic_load(&((struct tour *)arg)->worked); }

static int start_blockers(struct tour *tour) {
    struct progress progress;
    int status = STATUS_OK;
    progress_start(&progress, "tasks in blocking calls", tour->tasks, blocked_so_far, tour);
    for (unsigned i = 0; i < tour->tasks && status == STATUS_OK; i++) {
        struct blocker *blocker = &tour->blockers[i];
        *blocker = (struct blocker){.tour = tour, .kind = i % TOUR_BLOCKS, .number = i / TOUR_BLOCKS};
        if (pintle_spawn(&blocker->task, block, blocker) != 0) status = fail_with_error();
    }
    if (status == STATUS_OK) pintle_event_wait(&tour->all_blocked, PINTLE_FOREVER);
    progress_stop(&progress);
    return status;
}

static int run_workers(struct tour *tour) {
    struct progress progress;
    int status = STATUS_OK;
    size_t chunk_bytes = (tour->bytes + tour->tasks - 1) / tour->tasks;
    progress_start(&progress, "chunks compressed and restored", tour->tasks, worked_so_far, tour);
    for (unsigned i = 0; i < tour->tasks && status == STATUS_OK; i++) {
        size_t start = i * chunk_bytes < tour->bytes ? i * chunk_bytes : tour->bytes;
        size_t left = tour->bytes - start;
        struct worker *worker = &tour->workers[i];
        *worker = (struct worker){
            .tour = tour, .data = tour->data + start, .bytes = left < chunk_bytes ? left : chunk_bytes};
        if (pintle_spawn(&worker->task, work, worker) != 0) status = fail_with_error();
    }
    for (unsigned i = 0; i < tour->tasks; i++) {
        if (tour->workers[i].task != NULL) pintle_join(tour->workers[i].task, PINTLE_FOREVER);
    }
    progress_stop(&progress);
    return status;
}

/* Joins the blockers of a kind, and counts those whose call did not end well. */
static void join_blockers(struct tour *tour, enum tour_block kind) {
    for (unsigned i = kind; i < tour->tasks; i += TOUR_BLOCKS) {
        struct blocker *blocker = &tour->blockers[i];
        if (blocker->task == NULL) continue;
        pintle_join(blocker->task, PINTLE_FOREVER);
        if (blocker->value < 0) tour->wrong++;
    }
}

/* Lets the blocked tasks go: each that waits for an event by its own event, one after the other; then the readers, who
 * must get every byte once; then the sleepers. */
static void release_blockers(struct tour *tour) {
    uint64_t written = 0, read = 0;
    for (unsigned i = TOUR_WAIT; i < tour->tasks; i += TOUR_BLOCKS) {
        struct blocker *blocker = &tour->blockers[i];
        if (blocker->task == NULL) continue;
        if (!tour_wake_wait(blocker->number)) tour->wrong++;
        pintle_join(blocker->task, PINTLE_FOREVER);
        if (blocker->value != 0) tour->wrong++;
    }
    for (unsigned i = TOUR_READ; i < tour->tasks; i += TOUR_BLOCKS) {
        if (tour->blockers[i].task == NULL) continue;
        written += i & 0xff;
        if (!tour_wake_read((unsigned char)i)) tour->wrong++;
    }
    join_blockers(tour, TOUR_READ);
    for (unsigned i = TOUR_READ; i < tour->tasks; i += TOUR_BLOCKS) read += (uint64_t)tour->blockers[i].value;
    if (read != written) tour->wrong++;
    atomic_store(&tour->sleepers_may_go, true);
    join_blockers(tour, TOUR_SLEEP);
}

static int tour_task(void *arg) {
    struct tour *tour = arg;
    pintle_task *ticker;
    int64_t start_ns = pintle_now();
    int status = tour_zlib_open(tour->zlib_name);
    if (status != STATUS_OK) return status;
    tour->version = tour_zlib_version();
    tour->failed = tour_fail();
    if (pintle_spawn(&ticker, tick, tour) != 0) return fail_with_error();
    status = tour_blocks_open(tour->tasks / TOUR_BLOCKS + 1);
    if (status == STATUS_OK) {
        status = start_blockers(tour);
        if (status == STATUS_OK) status = run_workers(tour);
        release_blockers(tour);
    }
    atomic_store(&tour->ticker_may_go, true);
    pintle_join(ticker, PINTLE_FOREVER);
    tour_blocks_close();
    tour->wall_ns = (uint64_t)(pintle_now() - start_ns);
    pintle_stats_get(&tour->at_end);
    return status;
}

/* ---- The report ---- */

static void print_call(const char *call, pintle_result result) {
    char message[256] = "";
    if (result.err != 0) platform_error_text(result.err, message, sizeof message);
    printf("  %-30s %#-18" PRIx64 " %#-18" PRIx64 " %" PRIu32 "%s%s\n", call, (uint64_t)result.r1, (uint64_t)result.r2,
           result.err, message[0] != '\0' ? "  " : "", message);
}

static void print_calls(const struct tour *tour) {
    const struct worker *worker = &tour->workers[0];
    char call[64];
    printf("\n  %-30s %-18s %-18s %s\n", "A few of the calls", "r1", "r2", "err");
    print_call("zlibVersion()", tour->version);
    snprintf(call, sizeof call, "compressBound(%" PRIu64 ")", (uint64_t)worker->bytes);
    print_call(call, worker->bound);
    print_call("compress2(...)", worker->compress);
    print_call("uncompress(...)", worker->uncompress);
    for (unsigned i = 0; i < TOUR_BLOCKS && i < tour->tasks; i++)
        print_call(tour_block_names[i], tour->blockers[i].result);
    print_call(tour_failing_call, tour->failed);
}

/* How many of the tasks block in this way. */
static unsigned blockers_of(const struct tour *tour, enum tour_block kind) {
    return (tour->tasks + TOUR_BLOCKS - 1 - kind) / TOUR_BLOCKS;
}

static void print_figures(const struct tour *tour, size_t compressed_bytes) {
    printf("  zlib          %s, version %s\n", tour_zlib_name(), (const char *)tour->version.r1);
    printf("  file          %s, %s in %s chunks\n", tour->file_path, text_bytes(tour->bytes), text_count(tour->tasks));
    printf("  compressed    %s bytes to %s and back, every byte compared\n", text_count(tour->bytes),
           text_count(compressed_bytes));
    printf("  meanwhile     %s tasks in %s, %s in %s, %s in %s\n", text_count(blockers_of(tour, TOUR_SLEEP)),
           tour_block_names[TOUR_SLEEP], text_count(blockers_of(tour, TOUR_WAIT)), tour_block_names[TOUR_WAIT],
           text_count(blockers_of(tour, TOUR_READ)), tour_block_names[TOUR_READ]);
    print_calls(tour);
    printf("\n");
    printf("  calls made    %s, up to %s at the same time\n", text_count(tour->at_end.calls),
           text_count(tour->most_calls_in_flight));
    printf("  threads       %s, nearly all of them inside the calls that block\n", text_count(tour->most_threads));
    printf("  processors    %s\n", text_count(tour->at_end.processors));
    printf("  ticks         %s, one every 5 ms; the longest stall was %s\n", text_count(tour->ticks),
           text_duration((uint64_t)tour->latest_ns));
    printf("  wall time     %s\n\n", text_duration(tour->wall_ns));
}

static int report(struct tour *tour) {
    size_t compressed_bytes = 0;
    unsigned bad_chunks = 0;
    for (unsigned i = 0; i < tour->tasks; i++) {
        compressed_bytes += tour->workers[i].compressed_bytes;
        if (!tour->workers[i].good) bad_chunks++;
    }
    print_figures(tour, compressed_bytes);
    if (bad_chunks != 0) return fail("%u of %u chunks did not come back as they were", bad_chunks, tour->tasks);
    if (tour->wrong != 0) return fail("%u of the blocking calls did not end as they should", tour->wrong);
    if (tour->latest_ns > STALL_NS_MOST) return fail("the ticking task was held up for longer than three seconds");
    printf("Everything was right.\n");
    return STATUS_OK;
}

/* ---- The command ---- */

static int read_file(struct tour *tour) {
    FILE *file = platform_open_to_read(tour->file_path);
    if (file == NULL) return fail("the file '%s' cannot be opened: %s", tour->file_path, strerror(errno));
    tour->data = malloc(FILE_BYTES_MOST + 1);
    if (tour->data != NULL) tour->bytes = fread(tour->data, 1, FILE_BYTES_MOST + 1, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (tour->data == NULL) return fail("no memory for the file '%s'", tour->file_path);
    if (failed) return fail("the file '%s' cannot be read", tour->file_path);
    if (tour->bytes == 0) return fail("the file '%s' is empty", tour->file_path);
    if (tour->bytes > FILE_BYTES_MOST) return fail("the file '%s' is larger than 64 MB", tour->file_path);
    return STATUS_OK;
}

static int run(struct tour *tour) {
    pintle_options options = {.max_threads = tour->tasks + 1000};
    int status = read_file(tour);
    if (status != STATUS_OK) return status;
    tour->workers = calloc(tour->tasks, sizeof *tour->workers);
    tour->blockers = calloc(tour->tasks, sizeof *tour->blockers);
    if (tour->workers == NULL || tour->blockers == NULL) return fail("no memory for %u tasks", tour->tasks);
    pintle_event_init(&tour->all_blocked);

    printf("%s tasks compress a file while %s others sit in blocking calls.\n\n", text_count(tour->tasks),
           text_count(tour->tasks));
    fflush(stdout);
    status = pintle_run(tour_task, tour, &options);
    if (status < 0) return fail_with_error();
    return status == STATUS_OK ? report(tour) : status;
}

static const struct option options[] = {{"zlib", required_argument, NULL, 'z'},
                                        {"file", required_argument, NULL, 'f'},
                                        {"tasks", required_argument, NULL, 't'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

/* STATUS_OK: go on. */
static int read_options(struct tour *tour, int argc, char **argv, bool *out_wants_help) {
    uint64_t tasks = TASKS_DEFAULT;
    opterr = 0;
    optind = 1;
    while (optind < argc) {
        const char *typed = argv[optind];
        int option = getopt_long(argc, argv, "+:h", options, NULL);
        if (option == -1) break;
        if (option == 'z') {
            tour->zlib_name = optarg;
        } else if (option == 'f') {
            if ((size_t)snprintf(tour->file_path, PATH_BYTES, "%s", optarg) >= PATH_BYTES)
                return fail("the path of --file is too long");
        } else if (option == 't') {
            if (!parse_count("tour", "--tasks", optarg, TASKS_MOST, &tasks)) return STATUS_USAGE;
        } else if (option == 'h') {
            *out_wants_help = true;
            return STATUS_OK;
        } else {
            return fail_usage("tour", option == ':' ? "option '%s' wants a value" : "there is no option '%s'", typed);
        }
    }
    if (optind < argc) return fail_usage("tour", "'%s' is not an option", argv[optind]);
    tour->tasks = (unsigned)tasks;
    return STATUS_OK;
}

int command_tour(int argc, char **argv) {
    bool wants_help = false;
    struct tour *tour = calloc(1, sizeof *tour);
    if (tour == NULL) return fail("no memory");
    int status = read_options(tour, argc, argv, &wants_help);
    if (wants_help)
        fputs(tour_help, stdout);
    else if (status == STATUS_OK && tour->file_path[0] == '\0' &&
             !platform_find_large_file(FILE_BYTES_CHOSEN_MOST, tour->file_path, PATH_BYTES)) {
        status = fail("no file was found to compress: give one with --file");
    } else if (status == STATUS_OK) {
        status = run(tour);
    }
    free(tour->workers);
    free(tour->blockers);
    free(tour->data);
    free(tour);
    return status;
}
