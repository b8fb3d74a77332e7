package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// refName is the annotation by which tools know an image of a layout (OCI image
// specification, annotations).
const refName = "org.opencontainers.image.ref.name"

// pack writes the image tag of what docker save wrote as an OCI archive: a tar of
// an OCI image layout. The same image gives the same bytes.
func pack(saved, tag, archive string) error {
	ref, err := name.NewTag(tag)
	if err != nil {
		return err
	}
	docker, err := tarball.ImageFromPath(saved, &ref)
	if err != nil {
		return fmt.Errorf("read the saved image: %w", err)
	}
	image, err := convert(docker)
	if err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	dir, err := os.MkdirTemp("", "oci-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("write the layout: %w", err)
	}
	if err := path.AppendImage(image, layout.WithAnnotations(map[string]string{refName: tag})); err != nil {
		return fmt.Errorf("write the layout: %w", err)
	}
	return archiveOf(dir, archive)
}

// convert makes an OCI image with gzipped layers of a Docker image.
func convert(docker v1.Image) (v1.Image, error) {
	config, err := docker.ConfigFile()
	if err != nil {
		return nil, err
	}
	layers, err := docker.Layers()
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, l := range layers {
		layer, err := tarball.LayerFromOpener(l.Uncompressed, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return nil, err
		}
	}
	made, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.RootFS = made.RootFS
	config.Container, config.DockerVersion = "", "" // of the machine that built it
	return mutate.ConfigFile(image, config)
}

// archiveOf writes the files of a folder as a tar, in their order by name, with
// no times and no owners.
func archiveOf(dir, archive string) (err error) {
	out, err := os.Create(archive)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		inside, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return add(w, path, filepath.ToSlash(inside), entry.IsDir())
	})
	return errors.Join(err, w.Close(), out.Close())
}

func add(w *tar.Writer, path, inside string, isDir bool) error {
	if isDir {
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: inside + "/", Mode: 0o755})
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: inside, Mode: 0o644, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}
