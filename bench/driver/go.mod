module pintle.invalid/bench/driver

go 1.19
