/* io_helpers.h: bytes that say where in a stream they belong, for the tests of pintle_io. */
#ifndef PINTLE_TESTS_IO_HELPERS_H
#define PINTLE_TESTS_IO_HELPERS_H

#include "api/must.h"

HELPER unsigned char pattern(size_t at) { return (unsigned char)(at * 31 + at / 251); }
HELPER void read_to_the_end(pintle_io *io, size_t wanted) {
    static unsigned char data[10007];
    size_t at = 0;
    int64_t got;
    while ((got = pintle_io_read(io, data, sizeof data, PINTLE_FOREVER)) > 0) {
        for (int64_t i = 0; i < got; i++)
            if (data[i] != pattern(at++)) MUST_BE(data[i], pattern(at - 1));
    }
    MUST_BE(got, 0);
    MUST_BE(at, wanted);
}

#endif
