module pintle/bench/echo

go 1.19
