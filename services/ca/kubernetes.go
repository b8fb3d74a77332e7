package ca

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// KubernetesConfig says where the keys of a house are kept in a cluster.
//
// They are in one Secret for each service, so that none can mount another's:
// NAME-root (which no pod mounts), NAME-ca, NAME-dms, NAME-operator and, for each
// time authority, NAME-AUTHORITY. NAME-trust is a ConfigMap with the root certificate, the
// verifier of the log key and the policy. NAME-redis is the password of a Redis
// of the house's own.
type KubernetesConfig struct {
	BootstrapConfig
	Name    string            // first part of all names
	Secrets map[string]string // other names of Secrets, by part: root, ca, dms, operator, redis, or an authority
	Redis   bool              // make a password for Redis
	API     KubernetesAPI
	Log     *slog.Logger
}

// Parts of a house's material in a cluster.
const (
	partRoot     = "root"
	partCA       = "ca"
	partDMS      = "dms"
	partOperator = "operator"
	partRedis    = "redis"
	partTrust    = "trust"
)

// restartedAt is the annotation of a pod template by which a service starts
// anew, and reads its new certificate.
const restartedAt = "sigilo/keys-changed-at"

// place is one object of the cluster, and what is to be in it.
type place struct {
	part, kind, name string
	files            []string
	found            bool
	version          string            // of the object that was found
	have             map[string][]byte // what it holds, of files
}

// check refuses authorities whose name is that of another part.
func (c KubernetesConfig) check() error {
	for _, part := range []string{partRoot, partCA, partDMS, partOperator, partRedis, partTrust} {
		if slices.Contains(c.Authorities, part) {
			return fmt.Errorf("no time authority can be called %s", part)
		}
	}
	return nil
}

// places lists the objects in the order in which they are made: a key is there
// before anything that it signed.
func (c KubernetesConfig) places() []*place {
	secret := func(part string, files ...string) *place {
		name := c.Secrets[part]
		if name == "" {
			name = c.Name + "-" + part
		}
		return &place{part: part, kind: secrets, name: name, files: files}
	}
	all := []*place{
		secret(partRoot, FileRootKey, FileRoot),
		secret(partCA, FileKey, FileCertificate, FileTokenKey, FileCredentialKey),
		secret(partDMS, FileDMSKey, FileDMS, FileLogKey),
		secret(partOperator, FileOperatorToken),
	}
	for _, authority := range c.Authorities {
		key, certificate := TSAFiles(authority, c.SimulatedTime)
		all = append(all, secret(authority, key, certificate, successorFile(certificate)))
	}
	return append(all, &place{
		part: partTrust, kind: configMaps, name: c.Name + "-" + partTrust,
		files: []string{FileRoot, FileLog, FilePolicy},
	})
}

// BootstrapKubernetes makes what a house lacks of Secrets in a cluster, and
// replaces certificates that end soon; services whose certificate or policy
// changed start anew. It never changes a key or a token. It can be run again
// at any time: after a crash it goes on where it was.
func BootstrapKubernetes(ctx context.Context, cfg KubernetesConfig) error {
	if err := cfg.check(); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	all := cfg.places()
	have, err := cfg.load(ctx, all)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	material, err := Complete(have, cfg.BootstrapConfig)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	material, due, err := Renew(material, cfg.BootstrapConfig)
	if err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	for _, file := range due {
		cfg.Log.WarnContext(ctx, "a certificate ends soon, and the root's key is not here to sign another", slog.String("file", file))
	}
	if cfg.Redis {
		if err := cfg.makePassword(ctx); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	}
	for _, p := range all {
		if err := cfg.write(ctx, p, material); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	}
	return nil
}

// load reads what is there. A file that is in two objects is the same in both.
func (c KubernetesConfig) load(ctx context.Context, all []*place) (Material, error) {
	have := Material{}
	for _, p := range all {
		o, err := c.API.get(ctx, p.kind, p.name)
		if errors.Is(err, errNoObject) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p.found, p.version, p.have = true, o.Metadata.ResourceVersion, make(map[string][]byte)
		for _, file := range p.files {
			text, ok := o.Data[file]
			if !ok {
				continue
			}
			data := []byte(text)
			if p.kind == secrets {
				if data, err = base64.StdEncoding.DecodeString(text); err != nil {
					return nil, fmt.Errorf("%s in %s is not base64", file, p.name)
				}
			}
			if other, twice := have[file]; twice && !bytes.Equal(other.Data, data) {
				return nil, fmt.Errorf("%s in %s is another than elsewhere", file, p.name)
			}
			p.have[file] = data
			have[file] = Item{Data: data, Secret: isSecret(file)}
		}
	}
	return have, nil
}

// isSecret reports whether a file is a key or a token. Those never change.
func isSecret(file string) bool {
	return strings.HasSuffix(file, ".key") || strings.HasSuffix(file, ".token")
}

// write brings one object up to the material.
func (c KubernetesConfig) write(ctx context.Context, p *place, material Material) error {
	changed := make(map[string]string)
	for _, file := range p.files {
		item, there := material[file]
		old, had := p.have[file]
		switch {
		case !there, had && bytes.Equal(old, item.Data):
			continue
		case had && isSecret(file):
			return fmt.Errorf("%s in %s would change", file, p.name)
		}
		if p.kind == secrets {
			changed[file] = base64.StdEncoding.EncodeToString(item.Data)
		} else {
			changed[file] = string(item.Data)
		}
	}
	if _, offline := material[FileRootKey]; p.part == partRoot && !offline {
		return nil // the root's key was taken away, and its Secret with it
	}
	if len(changed) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(changed))
	if !p.found {
		c.Log.InfoContext(ctx, "made", slog.String("object", p.name), slog.Any("files", names))
		return c.API.create(ctx, p.kind, c.newObject(p.kind, p.name, changed))
	}
	c.Log.InfoContext(ctx, "changed", slog.String("object", p.name), slog.Any("files", names))
	patch := map[string]any{"metadata": metadata{Name: p.name, ResourceVersion: p.version}, "data": changed}
	if err := c.API.merge(ctx, p.kind, p.name, patch); err != nil {
		return err
	}
	return c.restart(ctx, p.part)
}

func (c KubernetesConfig) newObject(kind, name string, data map[string]string) object {
	o := object{APIVersion: "v1", Kind: "ConfigMap", Data: data, Metadata: metadata{
		Name: name, Labels: map[string]string{
			"app.kubernetes.io/name": "sigilo", "app.kubernetes.io/instance": c.Name,
			"app.kubernetes.io/managed-by": "sigilo-bootstrap",
		},
	}}
	if kind == secrets {
		o.Kind, o.Type = "Secret", "Opaque"
	}
	return o
}

// restart starts the service anew that reads a part, if it runs.
func (c KubernetesConfig) restart(ctx context.Context, part string) error {
	name := c.Name + "-" + part
	switch {
	case part == partTrust:
		name = c.Name + "-" + partDMS // it brings the policy into force
	case part != partDMS && !slices.Contains(c.Authorities, part):
		return nil
	}
	patch := map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{restartedAt: c.Now.UTC().Format(time.RFC3339)},
	}}}}
	if err := c.API.merge(ctx, deployments, name, patch); err != nil && !errors.Is(err, errNoObject) {
		return fmt.Errorf("restart: %w", err)
	}
	return nil
}

// redisUsers is the ACL of the house's own Redis. Nobody can log in as default,
// but Redis reads its append-only file as that user when it starts: without
// rights it would drop what scripts had written.
func redisUsers(password string) string {
	return fmt.Sprintf("user default off ~* &* +@all\n"+
		"user sigilo on #%x ~sigilo:* &sigilo:* +@all -@admin -@dangerous +info +config|get\n"+
		"user probe on nopass +ping\n", sha256.Sum256([]byte(password)))
}

// makePassword makes the password of the house's own Redis, unless it is there.
// Redis itself reads only its hash. The user probe may ask whether it is alive.
func (c KubernetesConfig) makePassword(ctx context.Context) error {
	name := c.Secrets[partRedis]
	if name == "" {
		name = c.Name + "-" + partRedis
	}
	_, err := c.API.get(ctx, secrets, name)
	if !errors.Is(err, errNoObject) {
		return err
	}
	password := rand.Text()
	acl := redisUsers(password)
	encode := base64.StdEncoding.EncodeToString
	c.Log.InfoContext(ctx, "made", slog.String("object", name))
	return c.API.create(ctx, secrets, c.newObject(secrets, name, map[string]string{
		"password": encode([]byte(password)), "users.acl": encode([]byte(acl)),
	}))
}
