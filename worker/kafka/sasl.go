package kafka

import (
	"fmt"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// SASL returns the mechanism of that name for Config: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Its errors do not show the
// password.
func SASL(mechanism, username, password string) (sasl.Mechanism, error) {
	switch mechanism {
	case "PLAIN":
		return plain.Mechanism{Username: username, Password: password}, nil
	case "SCRAM-SHA-256", "SCRAM-SHA-512":
		algorithm := scram.SHA256
		if mechanism == "SCRAM-SHA-512" {
			algorithm = scram.SHA512
		}
		m, err := scram.Mechanism(algorithm, username, password)
		if err != nil {
			return nil, fmt.Errorf("%s: the username or password holds characters that SASLprep (RFC 4013) forbids", mechanism)
		}
		return m, nil
	}
	return nil, fmt.Errorf("%q is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", mechanism)
}
