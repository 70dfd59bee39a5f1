/**
 * The script behind `irm HUB/setup.ps1 | iex`: what `setup.sh` does, for Windows PowerShell 5.1 and PowerShell 7 on any system, with the same undo file.
 *
 * - It runs in the scope of whoever typed the line: all that stays of it is one function, and it never calls `exit`, which would close the window.
 * - Everything stands inside of braces, so that half a download does not parse and does nothing.
 * - Windows PowerShell makes an error of each line that a program writes to a redirected standard error, so nothing is redirected here.
 */
import { type ClientFacts, clientSettings } from './client-settings.ts';
import { powerShellQuote } from './print-variables.ts';
import { powerShellSdkPart } from './setup-ps1-sdk.ts';

export function powerShellSetupScript(facts: ClientFacts): string {
  const plan = clientSettings(facts).map(
    ({ name, value, why }) => `    Set-One ${name} ${powerShellQuote(value)} ${powerShellQuote(why.en)} ${powerShellQuote(why.zh)}`,
  );
  const filled: Readonly<Record<string, string>> = {
    '@ADDRESS@': powerShellQuote(facts.address),
    '@SHOWN@': facts.address,
    '@PLAN@': plan.join('\n'),
    '@SDK@': powerShellSdkPart,
  };
  return script.replace(/@[A-Z]+@/g, (mark) => filled[mark] ?? mark);
}

const script =
  String.raw`# Sets Go on this machine to work through the hub at @SHOWN@
#   irm HUB/setup.ps1 | iex                                              set it up; a second run changes nothing
#   & ([scriptblock]::Create((irm HUB/setup.ps1))) -DryRun               only say what would change
#   & ([scriptblock]::Create((irm HUB/setup.ps1))) -Undo                 put back what was there before
#   & ([scriptblock]::Create((irm HUB/setup.ps1))) -Go latest            install a Go SDK from the hub first (Windows)
param(
  [Parameter()][switch]$DryRun,
  [Parameter()][switch]$Undo,
  [Parameter()][string]$Go = '',
  [Parameter()][string]$Toolchain = '',
  [Parameter()][string]$GoFlags = '',
  [Parameter()][string]$GoAuth = '',
  [Parameter()][ValidateSet('', 'zh', 'en')][string]$Lang = ''
)

function Invoke-GoyiSetup {
  param([bool]$DryRun, [bool]$Undo, [string]$Lang, [string]$WantedGo, [string]$Toolchain, [string]$GoFlags, [string]$GoAuth)
  Set-StrictMode -Version 2
  $ErrorActionPreference = 'Stop'
  $hub = @ADDRESS@
  if ($Lang -eq '') {
    if ([Globalization.CultureInfo]::CurrentUICulture.Name -like 'zh*') { $Lang = 'zh' } else { $Lang = 'en' }
  }
  $state = @{ Changed = 0; Shadowed = 0; Go = ''; EnvFile = ''; UndoFile = '' }
  $onWindows = [Environment]::OSVersion.Platform -eq 'Win32NT'

  function Text([string]$English, [string]$Chinese) {
    if ($Lang -eq 'zh') { $Chinese } else { $English }
  }

  function Say([string]$English, [string]$Chinese) {
    Write-Host (Text $English $Chinese)
  }

@SDK@
  function Find-Go {
    if ($state.Go -ne '' -and (Test-Path -LiteralPath $state.Go -PathType Leaf)) { return $state.Go }
    $found = @(Get-Command go -CommandType Application -ErrorAction SilentlyContinue)
    if ($found.Count -gt 0) { return $found[0].Path }
    foreach ($candidate in @("$HOME/sdk/go/bin/go.exe", "$env:ProgramFiles/Go/bin/go.exe", "$HOME/sdk/go/bin/go", '/usr/local/go/bin/go')) {
      if (Test-Path -LiteralPath $candidate -PathType Leaf) { return $candidate }
    }
    throw (Text 'there is no go command in PATH: run this with -Go latest to have one installed from the hub' 'PATH 中没有 go 命令：请加上 -Go latest，从本站安装一个')
  }

  function Invoke-Go([string[]]$Words) {
    & $state.Go @Words
    if ($LASTEXITCODE -ne 0) { throw "go $Words" }
  }

  function Get-StateFolder {
    if ($onWindows) { return $env:LOCALAPPDATA }
    if ($env:XDG_STATE_HOME) { return $env:XDG_STATE_HOME }
    return "$HOME/.local/state"
  }

  function Get-Lines([string]$Path) {
    if (Test-Path -LiteralPath $Path -PathType Leaf) { [IO.File]::ReadAllLines($Path) }
  }

  # What is written in the settings, not what is in effect; nothing when it is not written.
  function Get-Written([string]$Name) {
    $last = @(Get-Lines $state.EnvFile | Where-Object { $_.StartsWith("$Name=", [StringComparison]::Ordinal) }) | Select-Object -Last 1
    if ($null -ne $last) { $last.Substring($Name.Length + 1) }
  }

  # The first value that was there is the one to put back.
  function Save-Old([string]$Name, $Old) {
    $known = @(Get-Lines $state.UndoFile | Where-Object { $_ -ceq "-$Name" -or $_.StartsWith("$Name=", [StringComparison]::Ordinal) })
    if ($known.Count -gt 0) { return }
    [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($state.UndoFile))
    if ($null -eq $Old) { $line = "-$Name" } else { $line = "$Name=$Old" }
    [IO.File]::AppendAllText($state.UndoFile, $line + [char]10)
  }

  function Set-One([string]$Name, [string]$Value, [string]$Why, [string]$WhyInChinese) {
    $old = Get-Written $Name
    if ($old -cne $Value) {
      $state.Changed = 1
      Write-Host "  $Name=$Value"
      Write-Host ('    ' + (Text $Why $WhyInChinese))
      if ($null -ne $old) { Write-Host ('    ' + (Text 'before: ' '原为：') + $old) }
      if (-not $DryRun) {
        Save-Old $Name $old
        Invoke-Go @('env', '-w', "$Name=$Value")
      }
    }
    Show-Shadow $Name $Value
  }

  # A variable of the environment goes before what go env -w has written.
  function Show-Shadow([string]$Name, [string]$Value) {
    $shadow = [Environment]::GetEnvironmentVariable($Name)
    if ([string]::IsNullOrEmpty($shadow) -or $shadow -ceq $Value) { return }
    $state.Shadowed = 1
    Write-Warning (Text "the environment variable $Name=$shadow goes first; take it out of where it is set:" "环境变量 $Name=$shadow 优先生效；请从设置它的地方去掉：")
    $places = @()
    if ($onWindows) {
      if ([Environment]::GetEnvironmentVariable($Name, 'User')) {
        $places += (Text 'the variables of your account' '您账户的环境变量') + ":  [Environment]::SetEnvironmentVariable('$Name', ` +
  '`$null' +
  String.raw`, 'User')"
      }
      if ([Environment]::GetEnvironmentVariable($Name, 'Machine')) {
        $places += (Text 'the variables of the machine (as administrator)' '系统的环境变量（需管理员）') + ":  [Environment]::SetEnvironmentVariable('$Name', ` +
  '`$null' +
  String.raw`, 'Machine')"
      }
    }
    $files = @()
    if ($PROFILE) {
      foreach ($kind in @('AllUsersAllHosts', 'AllUsersCurrentHost', 'CurrentUserAllHosts', 'CurrentUserCurrentHost')) {
        $property = $PROFILE.PSObject.Properties[$kind]
        if ($property) { $files += $property.Value }
      }
    }
    if (-not $onWindows) { $files += @("$HOME/.profile", "$HOME/.bash_profile", "$HOME/.bashrc", "$HOME/.zshenv", "$HOME/.zshrc", '/etc/environment', '/etc/profile') }
    foreach ($file in $files) {
      if ($file -and (Test-Path -LiteralPath $file -PathType Leaf)) {
        foreach ($hit in @(Select-String -LiteralPath $file -SimpleMatch -CaseSensitive -Pattern $Name)) { $places += $file + ':' + $hit.LineNumber + ': ' + $hit.Line.Trim() }
      }
    }
    foreach ($place in $places) { Write-Host "    $place" }
    if ($places.Count -eq 0) { Say '    not found in the usual places; it may come from the program that started this shell' '    常见位置中没有找到；可能来自启动此 shell 的程序' }
  }

  function Restore-All {
    if (Test-Path -LiteralPath ([IO.Path]::Combine((Get-StateFolder), 'goyi', 'setup-netrc.undo')) -PathType Leaf) {
      Say 'the entry in netrc stays: goyi env --undo takes it out, and so does setup.sh' 'netrc 中的条目保持不变：请用 goyi env --undo 或 setup.sh 去掉'
    }
    $lines = @(Get-Lines $state.UndoFile | Where-Object { $_ -ne '' })
    if ($lines.Count -eq 0) {
      Say 'there is nothing to put back' '没有可恢复的设置'
      return
    }
    foreach ($line in $lines) {
      if (-not $DryRun) {
        if ($line.StartsWith('-')) { Invoke-Go @('env', '-u', $line.Substring(1)) } else { Invoke-Go @('env', '-w', $line) }
      }
      Write-Host "  $line"
    }
    if ($DryRun) { return }
    Remove-Item -LiteralPath $state.UndoFile -Force
    Say 'put back' '已恢复'
  }

  function Set-All {
@PLAN@
    if ($Toolchain -ne '') { Set-One GOTOOLCHAIN $Toolchain 'you asked for it' '按您的要求' }
    if ($GoFlags -ne '') { Set-One GOFLAGS $GoFlags 'you asked for it' '按您的要求' }
    if ($GoAuth -ne '') { Set-One GOAUTH $GoAuth 'you asked for it' '按您的要求' }
  }

  if ($WantedGo -ne '' -and -not $Undo) {
    Install-Go $WantedGo
    if ($DryRun -and -not (Test-Path -LiteralPath $state.Go -PathType Leaf)) { return }
  }
  $state.Go = Find-Go
  $state.EnvFile = [string](Invoke-Go @('env', 'GOENV'))
  if ($state.EnvFile -eq '' -or $state.EnvFile -eq 'off') {
    throw (Text 'this go command keeps no settings (GOENV is off, or it is older than Go 1.13)' '此 go 命令不保存设置（GOENV 为 off，或早于 Go 1.13）')
  }
  $state.UndoFile = [IO.Path]::Combine((Get-StateFolder), 'goyi', 'setup.undo')
  if ($DryRun) { Say 'dry run: nothing is changed' '试运行：不作任何修改' }
  if ($Undo) {
    Restore-All
    return
  }
  $version = Invoke-Go @('version')
  $file = $state.EnvFile
  Say "$version, settings in $file" "$version，设置写在 $file"
  Set-All
  $again = "& ([scriptblock]::Create((irm $hub/setup.ps1))) -Undo"
  if ($state.Changed -eq 0) {
    Say 'everything is set already' '一切均已设置好'
  } elseif (-not $DryRun) {
    Say "done; to put back what was there before:  $again" "完成；恢复原来的设置：$again"
  }
  if ($hub -match '^http://(127\.0\.0\.1|localhost|\[::1\])') {
    Say "this is the hub's own machine: the hub remembers which upstream this machine's Go named before, and goes on using it" '这是本站所在的机器：本站记住了此机器的 Go 原来的上游，并继续使用它'
  }
  $global:LASTEXITCODE = $state.Shadowed
}

if ($true) { Invoke-GoyiSetup -DryRun ([bool]$DryRun) -Undo ([bool]$Undo) -Lang $Lang -WantedGo $Go -Toolchain $Toolchain -GoFlags $GoFlags -GoAuth $GoAuth }
`;
