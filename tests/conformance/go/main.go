// A second opinion on a log: signatures, inclusion and consistency are checked with the Go
// project's own transparency-log code, which shares nothing with ours.
//
// Reads a job as JSON from the file named on the command line, or from stdin, and writes one
// answer per item, in the job's order, as JSON.
package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type noteItem struct {
	Vkey string `json:"vkey"`
	Note string `json:"note"`
}

type inclusionItem struct {
	Index int64    `json:"index"`
	Size  int64    `json:"size"`
	Root  string   `json:"root"`
	Entry string   `json:"entry"`
	Proof []string `json:"proof"`
}

type consistencyItem struct {
	OldSize int64    `json:"old_size"`
	OldRoot string   `json:"old_root"`
	Size    int64    `json:"size"`
	Root    string   `json:"root"`
	Proof   []string `json:"proof"`
}

// A directory is recomputed from its entry bundles and compared with size and root.
type directoryItem struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
	Root string `json:"root"`
}

// A C2SP tlog-proof file with the entry in its extra line, checked from its bytes alone.
type proofItem struct {
	Vkey string `json:"vkey"`
	File string `json:"file"`
}

type job struct {
	Proofs      []proofItem       `json:"proofs"`
	Notes       []noteItem        `json:"notes"`
	Inclusions  []inclusionItem   `json:"inclusions"`
	Consistency []consistencyItem `json:"consistency"`
	Directories []directoryItem   `json:"directories"`
}

type answer struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason"`
	Origin string `json:"origin,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Root   string `json:"root,omitempty"`
}

type result struct {
	Proofs      []answer `json:"proofs"`
	Notes       []answer `json:"notes"`
	Inclusions  []answer `json:"inclusions"`
	Consistency []answer `json:"consistency"`
	Directories []answer `json:"directories"`
}

func said(err error) answer {
	if err != nil {
		return answer{Reason: err.Error()}
	}
	return answer{OK: true}
}

func parseHash(text string) (tlog.Hash, error) {
	var hash tlog.Hash
	raw, err := hex.DecodeString(text)
	if err != nil {
		return hash, err
	}
	if len(raw) != len(hash) {
		return hash, fmt.Errorf("hash has %d bytes", len(raw))
	}
	copy(hash[:], raw)
	return hash, nil
}

func parseHashes(texts []string) ([]tlog.Hash, error) {
	hashes := []tlog.Hash{}
	for _, text := range texts {
		hash, err := parseHash(text)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

func checkNote(item noteItem) answer {
	verifier, err := note.NewVerifier(item.Vkey)
	if err != nil {
		return said(err)
	}
	opened, err := note.Open([]byte(item.Note), note.VerifierList(verifier))
	if err != nil {
		return said(err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return said(fmt.Errorf("checkpoint has %d lines", len(lines)-1))
	}
	if lines[0] != verifier.Name() {
		return said(fmt.Errorf("origin %q is not the key's name %q", lines[0], verifier.Name()))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return said(err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		return said(err)
	}
	return answer{OK: true, Origin: lines[0], Size: size, Root: hex.EncodeToString(root)}
}

func checkInclusion(item inclusionItem) error {
	root, err := parseHash(item.Root)
	if err != nil {
		return err
	}
	entry, err := hex.DecodeString(item.Entry)
	if err != nil {
		return err
	}
	proof, err := parseHashes(item.Proof)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, item.Size, root, item.Index, tlog.RecordHash(entry))
}

func checkConsistency(item consistencyItem) error {
	root, err := parseHash(item.Root)
	if err != nil {
		return err
	}
	oldRoot, err := parseHash(item.OldRoot)
	if err != nil {
		return err
	}
	proof, err := parseHashes(item.Proof)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, item.Size, root, item.OldSize, oldRoot)
}

func checkProof(item proofItem) error {
	head, text, found := strings.Cut(item.File, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("not a tlog-proof file")
	}
	extra, isExtra := strings.CutPrefix(lines[1], "extra ")
	number, isIndex := strings.CutPrefix(lines[2], "index ")
	if !isExtra || !isIndex {
		return fmt.Errorf("no extra line or no index line")
	}
	entry, err := base64.StdEncoding.DecodeString(extra)
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return err
	}
	proof := []tlog.Hash{}
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	checkpoint := checkNote(noteItem{Vkey: item.Vkey, Note: text})
	if !checkpoint.OK {
		return fmt.Errorf("checkpoint: %s", checkpoint.Reason)
	}
	root, err := parseHash(checkpoint.Root)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, checkpoint.Size, root, index, tlog.RecordHash(entry))
}

// bundlePath names an entry bundle as C2SP tlog-tiles does.
func bundlePath(index, size int64) (string, int64) {
	name := fmt.Sprintf("%03d", index%1000)
	for rest := index / 1000; rest > 0; rest /= 1000 {
		name = fmt.Sprintf("x%03d/%s", rest%1000, name)
	}
	width := size - index*256
	if width >= 256 {
		return "tile/entries/" + name, 256
	}
	return fmt.Sprintf("tile/entries/%s.p/%d", name, width), width
}

func checkDirectory(item directoryItem) error {
	stored := []tlog.Hash{}
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := []tlog.Hash{}
		for _, index := range indexes {
			hashes = append(hashes, stored[index])
		}
		return hashes, nil
	})
	count := int64(0)
	for index := int64(0); index*256 < item.Size; index++ {
		path, width := bundlePath(index, item.Size)
		raw, err := os.ReadFile(filepath.Join(item.Path, path))
		if err != nil {
			return err
		}
		for row := int64(0); row < width; row++ {
			if len(raw) < 2 || len(raw) < 2+int(raw[0])<<8+int(raw[1]) {
				return fmt.Errorf("%s ends inside entry %d", path, row)
			}
			end := 2 + int(raw[0])<<8 + int(raw[1])
			more, err := tlog.StoredHashes(count, raw[2:end], reader)
			if err != nil {
				return err
			}
			stored = append(stored, more...)
			raw = raw[end:]
			count++
		}
		if len(raw) != 0 {
			return fmt.Errorf("%s has %d bytes after its entries", path, len(raw))
		}
	}
	root, err := tlog.TreeHash(item.Size, reader)
	if err != nil {
		return err
	}
	if hex.EncodeToString(root[:]) != item.Root {
		return fmt.Errorf("root of the entries is %x", root[:])
	}
	return nil
}

func run() error {
	input := io.Reader(os.Stdin)
	if len(os.Args) > 1 {
		file, err := os.Open(os.Args[1])
		if err != nil {
			return err
		}
		defer file.Close()
		input = file
	}
	var work job
	if err := json.NewDecoder(input).Decode(&work); err != nil {
		return err
	}
	done := result{[]answer{}, []answer{}, []answer{}, []answer{}, []answer{}}
	for _, item := range work.Proofs {
		done.Proofs = append(done.Proofs, said(checkProof(item)))
	}
	for _, item := range work.Notes {
		done.Notes = append(done.Notes, checkNote(item))
	}
	for _, item := range work.Inclusions {
		done.Inclusions = append(done.Inclusions, said(checkInclusion(item)))
	}
	for _, item := range work.Consistency {
		done.Consistency = append(done.Consistency, said(checkConsistency(item)))
	}
	for _, item := range work.Directories {
		done.Directories = append(done.Directories, said(checkDirectory(item)))
	}
	return json.NewEncoder(os.Stdout).Encode(done)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
