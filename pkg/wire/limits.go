package wire

// Limits in bytes, unless said otherwise.
const (
	// MaxClientMessage and MaxServerFrame are what fits the session's frames.
	MaxClientMessage = 16<<10 - 4
	MaxServerFrame   = 64 << 10

	MaxCommand = 12 << 10 // a signed command in its compact form
	MaxStamp   = 1 << 10  // one time stamp without certificates (DER)
	MaxSealed  = 10 << 10 // a sealed presentation
	MaxReady   = 4 << 10  // the DMS's first words

	MaxChain         = 3    // certificates in a chain
	MaxFrameMessages = 1024 // messages in a frame of the DMS
	MaxText          = 1024 // a detail for a person

	maxInteger     = 1<<53 - 1 // what every JSON reader holds exactly
	maxCertificate = 2 << 10   // one certificate (DER)
	maxNote        = 4 << 10   // a signed head
	maxProof       = 64        // hashes of an inclusion proof
	maxSignature   = 64        // Ed25519
)
