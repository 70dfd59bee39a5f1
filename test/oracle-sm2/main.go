// Command oracle-sm2 is SM2 of github.com/emmansun/gmsm, for ours to be compared with. Points, messages and signatures are hex; a signature is r ‖ s.
//
//	oracle-sm2 verify POINT MESSAGE SIGNATURE    prints true or false
//	oracle-sm2 sign MESSAGE                      makes a key and prints its point and the signature
package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"log"
	"math/big"
	"os"

	"github.com/emmansun/gmsm/sm2"
)

type signature struct{ R, S *big.Int }

func main() {
	switch {
	case len(os.Args) == 5 && os.Args[1] == "verify":
		verify(bytesOf(os.Args[2]), bytesOf(os.Args[3]), bytesOf(os.Args[4]))
	case len(os.Args) == 3 && os.Args[1] == "sign":
		sign(bytesOf(os.Args[2]))
	default:
		log.Fatal("oracle-sm2 verify POINT MESSAGE SIGNATURE | sign MESSAGE")
	}
}

func verify(point, message, raw []byte) {
	if len(point) != 65 {
		log.Fatal("a point is 65 bytes")
	}
	public := &ecdsa.PublicKey{Curve: sm2.P256(), X: new(big.Int).SetBytes(point[1:33]), Y: new(big.Int).SetBytes(point[33:])}
	half := len(raw) / 2
	der, err := asn1.Marshal(signature{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sm2.VerifyASN1WithSM2(public, nil, message, der))
}

func sign(message []byte) {
	private, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	der, err := private.SignWithSM2(rand.Reader, nil, message)
	if err != nil {
		log.Fatal(err)
	}
	var s signature
	if _, err := asn1.Unmarshal(der, &s); err != nil {
		log.Fatal(err)
	}
	raw := make([]byte, 64)
	s.R.FillBytes(raw[:32])
	s.S.FillBytes(raw[32:])
	point := make([]byte, 65)
	point[0] = 4
	private.X.FillBytes(point[1:33])
	private.Y.FillBytes(point[33:])
	fmt.Println(hex.EncodeToString(point), hex.EncodeToString(raw))
}

func bytesOf(text string) []byte {
	bytes, err := hex.DecodeString(text)
	if err != nil {
		log.Fatal(err)
	}
	return bytes
}
