// Renders chat templates with Go's own text/template, as Ollama runs them, and compares: the test
// of what Quern's exports write. Reads a list of cases (JSON) from the file that is its argument,
// and ends with 1 where a text differs.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
)

type message struct{ Role, Content string }

type rendering struct {
	Name     string
	Messages []message
	Date     string
	Want     string
}

type templateCase struct {
	Name, Template string
	Renderings     []rendering
}

// What a template of Ollama's is given: the system prompts as one text, and the messages, where
// neighbours of one role are one message.
func valuesOf(messages []message) map[string]any {
	var system []string
	var joined []*message
	for _, next := range messages {
		if next.Role == "system" {
			system = append(system, next.Content)
		}
		if n := len(joined); n > 0 && next.Role != "tool" && joined[n-1].Role == next.Role {
			joined[n-1].Content += "\n\n" + next.Content
			continue
		}
		one := next
		joined = append(joined, &one)
	}
	return map[string]any{
		"System": strings.Join(system, "\n\n"), "Messages": joined, "Tools": nil, "Response": "",
		"Think": false, "ThinkLevel": "", "IsThinkSet": false,
	}
}

func check(one templateCase) (failures int) {
	date := ""
	functions := template.FuncMap{
		"json":             func(v any) string { b, _ := json.Marshal(v); return string(b) },
		"currentDate":      func(...string) string { return date },
		"yesterdayDate":    func(...string) string { panic("not in use") },
		"toTypeScriptType": func(any) string { panic("not in use") },
	}
	parsed, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(one.Template)
	if err != nil {
		fmt.Printf("%s: is no template: %v\n", one.Name, err)
		return 1
	}
	for _, r := range one.Renderings {
		date = r.Date
		var out strings.Builder
		if err := parsed.Execute(&out, valuesOf(r.Messages)); err != nil {
			fmt.Printf("%s: %s: %v\n", one.Name, r.Name, err)
			failures++
		} else if out.String() != r.Want {
			fmt.Printf("%s: %s:\nwanted %q\ngot    %q\n", one.Name, r.Name, r.Want, out.String())
			failures++
		}
	}
	return failures
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	var cases []templateCase
	if err := json.Unmarshal(text, &cases); err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	failures, renderings := 0, 0
	for _, one := range cases {
		failures += check(one)
		renderings += len(one.Renderings)
	}
	fmt.Printf("%d templates, %d renderings, %d differ\n", len(cases), renderings, failures)
	if failures > 0 {
		os.Exit(1)
	}
}
