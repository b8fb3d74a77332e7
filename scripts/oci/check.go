package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// maxArchive bounds what is unpacked of an archive, in bytes.
const maxArchive = 1 << 30

// checked is what an archive holds.
type checked struct {
	name, digest string
}

// check fails unless the archive is an OCI image layout of one image, and every
// digest and size that is named in it is that of what is there.
func check(archive string) (checked, error) {
	dir, err := os.MkdirTemp("", "oci-")
	if err != nil {
		return checked{}, err
	}
	defer os.RemoveAll(dir)
	if err := unpack(archive, dir); err != nil {
		return checked{}, fmt.Errorf("unpack: %w", err)
	}
	var version struct {
		Version string `json:"imageLayoutVersion"`
	}
	mark, err := os.ReadFile(filepath.Join(dir, "oci-layout"))
	if err != nil || json.Unmarshal(mark, &version) != nil || version.Version != "1.0.0" {
		return checked{}, errors.New("oci-layout does not say that it is a layout of version 1.0.0")
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return checked{}, fmt.Errorf("read the index: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return checked{}, fmt.Errorf("read the index: %w", err)
	}
	if len(manifest.Manifests) != 1 {
		return checked{}, fmt.Errorf("%d images, not one", len(manifest.Manifests))
	}
	one := manifest.Manifests[0]
	image, err := index.Image(one.Digest)
	if err != nil {
		return checked{}, fmt.Errorf("read the image: %w", err)
	}
	if err := validate.Image(image); err != nil {
		return checked{}, err
	}
	return checked{one.Annotations[refName], one.Digest.String()}, nil
}

// unpack writes the files of a tar into a folder, and none beside it.
func unpack(archive, dir string) error {
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	left := int64(maxArchive)
	for r := tar.NewReader(in); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if left -= header.Size; left < 0 {
			return errors.New("it is too large")
		}
		if header.Typeflag == tar.TypeDir {
			err = root.MkdirAll(strings.TrimSuffix(header.Name, "/"), 0o755)
		} else {
			err = unpackFile(root, header.Name, r)
		}
		if err != nil {
			return err
		}
	}
}

func unpackFile(root *os.Root, name string, in io.Reader) error {
	out, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
