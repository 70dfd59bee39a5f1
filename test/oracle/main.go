// Command oracle asks the real Go code what it thinks of names, versions, patterns and tiles, and writes the answers down: as tables for
// the product and as vectors for its tests. The inputs are made here, from a fixed seed.
//
//	go -C test/oracle run . tables > src/protocol/unicode-tables.ts
//	go -C test/oracle run . vectors ../../src/protocol/testdata
package main

import (
	"fmt"
	"os"
)

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "tables":
		fmt.Print(tables())
	case len(os.Args) == 3 && os.Args[1] == "vectors":
		if err := writeVectors(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		fmt.Fprintln(os.Stderr, "usage: oracle tables | oracle vectors DIR")
		os.Exit(2)
	}
}
