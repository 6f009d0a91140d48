// Command echo is examples/echo.c in Go, for comparison: the same connections, messages and output.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

const messageBytes = 64

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func serve(connection net.Conn) {
	data := make([]byte, 4096)
	for {
		got, err := connection.Read(data)
		if err != nil {
			break
		}
		if _, err = connection.Write(data[:got]); err != nil {
			break
		}
	}
	connection.Close()
}

func sendRounds(connection net.Conn, rounds int) {
	out, in := make([]byte, messageBytes), make([]byte, messageBytes)
	for round := 0; round < rounds; round++ {
		_, err := connection.Write(out)
		check(err)
		_, err = io.ReadFull(connection, in)
		check(err)
	}
}

func number(at, otherwise int) int {
	if len(os.Args) <= at {
		return otherwise
	}
	value, err := strconv.Atoi(os.Args[at])
	check(err)
	return value
}

func main() {
	connections, active, rounds := number(1, 10000), number(2, 100), number(3, 1000)
	raiseLimit(connections)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(connection)
		}
	}()
	clients := make([]net.Conn, connections)
	var group sync.WaitGroup
	begin := time.Now()
	for from := 0; from < connections; from += 500 {
		for i := from; i < from+500 && i < connections; i++ {
			group.Add(1)
			go func(i int) {
				defer group.Done()
				var err error
				clients[i], err = net.Dial("tcp", listener.Addr().String())
				check(err)
				sendRounds(clients[i], 1)
			}(i)
		}
		group.Wait()
	}
	fmt.Printf("held     %d connections, opened in %.2f s\n", connections, time.Since(begin).Seconds())
	begin = time.Now()
	for i := 0; i < active; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			sendRounds(clients[i], rounds)
		}(i)
	}
	group.Wait()
	fmt.Printf("echoed   %.0f messages a second over %d of them\n",
		float64(active*rounds)/time.Since(begin).Seconds(), active)
	for _, connection := range clients {
		connection.Close()
	}
	listener.Close()
}
