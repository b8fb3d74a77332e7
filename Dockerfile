# One image a program: docker build --build-arg SERVICE=dms --tag sigilo-dms:VERSION .
#
# The build stage makes all programs, so that the images after the first are
# quick. It runs on the builder's own platform and compiles for the target's.
#
# sigilo holds a whole house, and reflection in its command line library makes the
# linker keep every exported method of it. It is compiled without inlining (-l) to
# stay below 30 MB: docs/decisions/0012. The services are built as they are
# measured. None of them speaks HTTP/2, which a WebSocket does not use: without it
# each is half a megabyte smaller.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY cmd cmd
COPY pkg pkg
COPY services services
COPY bench bench
ARG TARGETOS=linux TARGETARCH VERSION=devel
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    export CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH; \
    export GOFLAGS="-trimpath -buildvcs=false -tags=nethttpomithttp2"; \
    flags="-s -w -X github.com/sigilo/sigilo/pkg/ops.version=$VERSION"; \
    go build -ldflags "$flags" -o /out/ ./cmd/ca ./cmd/tsa ./cmd/dms && \
    go build -ldflags "$flags" -gcflags=all=-l -o /out/ ./cmd/sigilo

# Certificate authorities, /tmp and a user; no shell and no package manager.
FROM gcr.io/distroless/static-debian12:nonroot
ARG SERVICE VERSION=devel REVISION=unknown
LABEL org.opencontainers.image.title="sigilo-$SERVICE" \
      org.opencontainers.image.description="Sigilo, an auction house that cannot see who you are: $SERVICE" \
      org.opencontainers.image.source="https://github.com/sigilo/sigilo" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /out/$SERVICE /program
USER 65532:65532
ENTRYPOINT ["/program"]
