package wire

import "github.com/sigilo/sigilo/pkg/auction"

// Ready is what the DMS seals into the last message of the handshake.
type Ready struct {
	V      int          `json:"v"`      // 1; [Ready.Encode] sets it
	Time   auction.Time `json:"time"`   // the DMS's trusted time
	Policy auction.Hash `json:"policy"` // of the house policy in force
	House  string       `json:"house"`
	Ends   auction.Time `json:"ends"` // when the DMS ends this connection at the latest
	Limits ReadyLimits  `json:"limits"`
}

// ReadyLimits are what the DMS takes from this client.
type ReadyLimits struct {
	Frame      uint64 `json:"frame"`       // bytes of a client's frame, padded
	LargeFrame uint64 `json:"large_frame"` // bytes of the larger size
	Follows    uint64 `json:"follows"`     // logs followed at a time
}

// Encode returns the payload.
func (r Ready) Encode() []byte {
	r.V = version
	out, err := Marshal(r)
	if err != nil {
		panic("wire: internal error: encode ready: " + err.Error())
	}
	return out
}

// ParseReady reads the payload. It refuses with bad_version, too_large or
// bad_request.
func ParseReady(data []byte) (Ready, error) {
	if len(data) > MaxReady {
		return Ready{}, auction.Refuse(auction.CodeTooLarge, "the first words of the house have at most %d bytes", MaxReady)
	}
	var r Ready
	err := Unmarshal(data, &r)
	if otherVersion(data) {
		return Ready{}, errVersion()
	}
	if err != nil {
		return Ready{}, err
	}
	if r.V != version || r.Time == 0 || !there(r.Policy) || !auction.IsName(r.House) || r.Ends == 0 ||
		r.Limits.Frame == 0 || r.Limits.LargeFrame < r.Limits.Frame || r.Limits.Follows == 0 {
		return Ready{}, malformed()
	}
	return r, nil
}
